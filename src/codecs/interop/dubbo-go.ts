import type { Codec } from '../codec.ts';
import { booleanField, goJson, numberField, parseObject, stringField, stringMapField } from './go-json.ts';
import { keySegment } from './key-part.ts';

/** An instance as dubbo-go writes it; what else the JSON holds stays on the object. */
export interface DubboInstance {
  readonly ID: string;
  readonly ServiceName: string;
  readonly Host: string;
  readonly Port: number;
  readonly Enable: boolean;
  readonly Healthy: boolean;
  readonly Metadata: Readonly<Record<string, string>>;
}

/** See {@link dubboGo}. */
export interface DubboGo {
  readonly codec: Codec<DubboInstance>;
  /** All instances of an application. */
  readonly prefix: (service: string) => string;
  /** The key of one instance. */
  readonly key: (instance: Pick<DubboInstance, 'ServiceName' | 'Host' | 'Port'>) => string;
}

const ROOT = '/services';

/**
 * The format of dubbo-go's discovery at application level: `/services/<service>/<host>:<port>` holds an
 * instance as JSON in Go's letter case, ended by a line feed.
 *
 * Disabled and unhealthy instances are instances too: look at `Enable` and `Healthy`. Fields that only some
 * versions write (`Weight`, `Address`, `GroupName`, `Tag`, `ServiceMetadata`) stay on the object.
 *
 * @source https://github.com/apache/dubbo-go
 * @example
 * ```ts
 * import { dubboGo } from 'rx-etcd/interop';
 *
 * console.log(dubboGo().key({ ServiceName: 'user', Host: '10.0.0.7', Port: 20000 })); // /services/user/10.0.0.7:20000
 * ```
 */
export function dubboGo(): DubboGo {
  return {
    codec: {
      encode: ({ ID, ServiceName, Host, Port, ...others }) => goJson({ ID, ServiceName, Host, Port, ...others }, '\n'),
      decode(bytes) {
        const object = parseObject(bytes);
        return {
          ...object,
          ID: stringField(object, 'ID'),
          ServiceName: stringField(object, 'ServiceName'),
          Host: stringField(object, 'Host'),
          Port: numberField(object, 'Port'),
          Enable: booleanField(object, 'Enable'),
          Healthy: booleanField(object, 'Healthy'),
          Metadata: stringMapField(object, 'Metadata'),
        };
      },
    },
    prefix: (service) => `${ROOT}/${keySegment('service', service)}/`,
    key: ({ ServiceName, Host, Port }) =>
      `${ROOT}/${keySegment('instance.ServiceName', ServiceName)}/${keySegment('instance.Host', Host)}:${Port}`,
  };
}
