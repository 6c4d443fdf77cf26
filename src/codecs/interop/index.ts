export { dubboGo, type DubboGo, type DubboInstance } from './dubbo-go.ts';
export { etcdNaming, type EtcdNaming, type EtcdNamingEndpoint } from './etcd-naming.ts';
export { goFrame, type GoFrame, type GoFrameOptions, type GoFrameService } from './go-frame.ts';
export { goMicro, type GoMicro, type GoMicroEndpoint, type GoMicroNode, type GoMicroService } from './go-micro.ts';
export { goZero, type GoZero } from './go-zero.ts';
export { kitex, type Kitex, type KitexInstance, type KitexOptions } from './kitex.ts';
export { kratos, type Kratos, type KratosInstance, type KratosOptions } from './kratos.ts';
export { rpcx, type Rpcx, type RpcxServer } from './rpcx.ts';
export type { JsonObject } from './go-json.ts';
