import { describe, expect, it } from 'vitest';
import type { Codec } from '../../../src/codecs/codec.ts';
import {
  dubboGo,
  etcdNaming,
  goFrame,
  goMicro,
  goZero,
  kitex,
  kratos,
  rpcx,
  type EtcdNamingEndpoint,
  type KratosInstance,
} from '../../../src/codecs/interop/index.ts';

const bytes = (text: string): Uint8Array => Buffer.from(text);
const written = <T>(codec: Codec<T>, value: T, key = 'k'): string => Buffer.from(codec.encode(value, key)).toString();
const invalidArgument = expect.objectContaining({ code: 'invalid-argument' }) as Error;

describe("etcd's Go client", () => {
  const { codec, prefix, key } = etcdNaming();

  it('lays keys out as the endpoint manager wants them', () => {
    expect(prefix('services/greeter')).toBe('services/greeter/');
    expect(key('services/greeter', '1.2.3.4:80')).toBe('services/greeter/1.2.3.4:80');
    expect(() => key('', 'a')).toThrow(invalidArgument);
  });

  it('reads and writes its bytes', () => {
    expect(codec.decode(bytes('{"Op":0,"Addr":"1.2.3.4:80","Metadata":null}'), 'k')).toMatchObject({
      Addr: '1.2.3.4:80',
      Metadata: null,
    });
    expect(codec.decode(bytes('{"Op":0,"Addr":"1.2.3.4:80","Metadata":{"zone":"a"}}'), 'k')?.Metadata).toEqual({
      zone: 'a',
    });
    expect(written(codec, { Addr: '1.2.3.4:80', Metadata: null })).toBe('{"Op":0,"Addr":"1.2.3.4:80","Metadata":null}');
    expect(written(codec, { Addr: '1.2.3.4:80', Metadata: 'a<b>&c' })).toBe(
      '{"Op":0,"Addr":"1.2.3.4:80","Metadata":"a\\u003cb\\u003e\\u0026c"}',
    );
  });

  it('takes a deletion for no instance, and an update without content for a fault', () => {
    expect(codec.decode(bytes('{"Op":1,"Addr":"1.2.3.4:80","Metadata":null}'), 'k')).toBeUndefined();
    expect(() => codec.decode(bytes('{"Op":0,"Addr":"","Metadata":null}'), 'k')).toThrow('neither Addr nor Metadata');
  });

  it('keeps what it does not know through a rewrite', () => {
    const decoded = codec.decode(
      bytes('{"Op":0,"Addr":"1.2.3.4:80","Metadata":null,"Zone":{"id":7}}'),
      'k',
    ) as EtcdNamingEndpoint;
    expect(written(codec, { ...decoded, Addr: '5.6.7.8:80' })).toBe(
      '{"Op":0,"Addr":"5.6.7.8:80","Metadata":null,"Zone":{"id":7}}',
    );
  });
});

describe('go-kratos', () => {
  const { codec, prefix, key } = kratos();
  const literal =
    '{"id":"a1","name":"helloworld","version":"v1.0.0","metadata":{"region":"sh"},"endpoints":["grpc://10.0.0.7:9000?isSecure=false","http://10.0.0.7:8000?isSecure=false"]}';

  it('lays keys out as go-kratos does, in any namespace', () => {
    expect(prefix('helloworld')).toBe('/microservices/helloworld/');
    expect(key({ id: 'a1', name: 'helloworld' })).toBe('/microservices/helloworld/a1');
    expect(kratos({ namespace: '/prod' }).key({ id: 'a1', name: 'helloworld' })).toBe('/prod/helloworld/a1');
    expect(() => prefix('a/b')).toThrow(invalidArgument);
  });

  it('reads its bytes and writes the same', () => {
    const instance = codec.decode(bytes(literal), 'k') as KratosInstance;
    expect(instance).toEqual({
      id: 'a1',
      name: 'helloworld',
      version: 'v1.0.0',
      metadata: { region: 'sh' },
      endpoints: ['grpc://10.0.0.7:9000?isSecure=false', 'http://10.0.0.7:8000?isSecure=false'],
    });
    expect(written(codec, instance)).toBe(literal);
  });

  it("reads Go's null for an empty map and list", () => {
    const instance = codec.decode(
      bytes('{"id":"0","name":"helloworld","version":"","metadata":null,"endpoints":null}'),
      'k',
    );
    expect(instance).toEqual({ id: '0', name: 'helloworld', version: '', metadata: {}, endpoints: [] });
  });

  it('keeps what it does not know through a rewrite', () => {
    const decoded = codec.decode(bytes(`${literal.slice(0, -1)},"lastTs":1700000000}`), 'k') as KratosInstance;
    expect(JSON.parse(written(codec, { ...decoded, version: 'v2' }))).toEqual({
      ...JSON.parse(literal),
      version: 'v2',
      lastTs: 1700000000,
    });
  });

  it('names the field of a wrong type', () => {
    expect(() => codec.decode(bytes('{"id":7}'), 'k')).toThrow('id: expected a string, got 7');
    expect(() => codec.decode(bytes('{"metadata":{"a":1}}'), 'k')).toThrow('metadata.a: expected a string, got 1');
    expect(() => codec.decode(bytes('{"endpoints":[null]}'), 'k')).toThrow('endpoints.0: expected a string, got null');
    expect(() => codec.decode(bytes('{"endpoints":"a"}'), 'k')).toThrow('endpoints: expected an array, got "a"');
    expect(() => codec.decode(bytes('[]'), 'k')).toThrow('expected a JSON object');
  });
});

describe('go-zero', () => {
  const { codec, prefix, key, ttlSeconds } = goZero();

  it('lays keys out as go-zero does, under a lease id or one of its own', () => {
    expect(prefix('user.rpc')).toBe('user.rpc/');
    expect(key('user.rpc', 7587870345263325445n)).toBe('user.rpc/7587870345263325445');
    expect(key('user.rpc', 3)).toBe('user.rpc/3');
    expect(() => key('user.rpc', 0)).toThrow(invalidArgument);
    expect(() => key('user.rpc', 'a')).toThrow(invalidArgument);
    expect(() => key('user.rpc', 2 ** 80)).toThrow(invalidArgument);
    expect(ttlSeconds).toBe(10);
  });

  it('reads and writes its bytes', () => {
    expect(codec.decode(bytes('192.168.3.8:8080'), 'user.rpc/3')).toBe('192.168.3.8:8080');
    expect(written(codec, '192.168.3.8:8080')).toBe('192.168.3.8:8080');
  });
});

describe('kitex', () => {
  const { codec, prefix, key } = kitex();
  const literal = '{"network":"tcp","address":"10.0.0.7:8888","weight":20,"tags":{"cluster":"default"}}';

  it('lays keys out as kitex does, without a leading slash', () => {
    expect(prefix('hello')).toBe('kitex/registry-etcd/hello/');
    expect(key('hello', '10.0.0.7:8888')).toBe('kitex/registry-etcd/hello/10.0.0.7:8888');
    expect(kitex({ prefix: 'shop' }).prefix('hello')).toBe('shop/hello/');
  });

  it('reads its bytes and writes the same', () => {
    const instance = codec.decode(bytes(literal), 'k');
    expect(instance).toEqual({ network: 'tcp', address: '10.0.0.7:8888', weight: 20, tags: { cluster: 'default' } });
    expect(written(codec, instance as NonNullable<typeof instance>)).toBe(literal);
  });

  it('reads a weight of 0 or less as 10, and no tags as none', () => {
    expect(codec.decode(bytes('{"network":"tcp","address":"a:1","weight":0,"tags":null}'), 'k')).toMatchObject({
      weight: 10,
      tags: {},
    });
    expect(codec.decode(bytes('{"network":"tcp","address":"a:1","weight":-1}'), 'k')).toMatchObject({
      weight: 10,
      tags: {},
    });
  });

  it('keeps what it does not know through a rewrite', () => {
    const decoded = codec.decode(bytes(`${literal.slice(0, -1)},"zone":"b"}`), 'k');
    expect(written(codec, decoded as NonNullable<typeof decoded>)).toBe(`${literal.slice(0, -1)},"zone":"b"}`);
  });
});

describe('go-micro', () => {
  const { codec, prefix, key } = goMicro();
  const literal =
    '{"name":"greeter","version":"latest","metadata":null,"endpoints":[{"name":"Greeter.Hello","request":{"name":"Request","type":"Request","values":null},"response":null,"metadata":{}}],' +
    '"nodes":[{"metadata":{"protocol":"grpc"},"id":"greeter-2f1c","address":"10.0.0.7:41001"}]}';

  it('lays keys out as go-micro does, with dashes for slashes', () => {
    expect(prefix('go.micro/greeter')).toBe('/micro/registry/go.micro-greeter/');
    expect(key('greeter', 'greeter/2f1c')).toBe('/micro/registry/greeter/greeter-2f1c');
  });

  it('reads its bytes and writes them as Go would read them', () => {
    const service = codec.decode(bytes(literal), 'k');
    expect(service?.nodes).toEqual([{ metadata: { protocol: 'grpc' }, id: 'greeter-2f1c', address: '10.0.0.7:41001' }]);
    expect(service?.endpoints[0]?.name).toBe('Greeter.Hello');
    expect(written(codec, service as NonNullable<typeof service>)).toBe(
      literal.replace('"metadata":null', '"metadata":{}'),
    );
  });

  it('reads a service of no or several nodes', () => {
    expect(codec.decode(bytes('{"name":"greeter","nodes":null}'), 'k')?.nodes).toEqual([]);
    expect(codec.decode(bytes('{"nodes":[{"id":"a"},{"id":"b"}]}'), 'k')?.nodes.map((node) => node.id)).toEqual([
      'a',
      'b',
    ]);
    expect(() => codec.decode(bytes('{"nodes":["a"]}'), 'k')).toThrow('nodes.0: expected an object, got "a"');
  });

  it('keeps what it does not know, on the service and on its nodes', () => {
    const other =
      '{"name":"g","version":"1","metadata":{},"endpoints":[],"nodes":[{"metadata":{},"id":"a","address":"b","rank":1}],"owner":"x"}';
    const decoded = codec.decode(bytes(other), 'k');
    expect(JSON.parse(written(codec, decoded as NonNullable<typeof decoded>))).toEqual(JSON.parse(other));
  });
});

describe('GoFrame', () => {
  const { codec, prefix, key } = goFrame();
  const place = '/service/default/default/hello/latest/10.0.0.7:8000,10.0.0.7:8001';

  it('lays keys out as GoFrame does', () => {
    expect(prefix('hello')).toBe('/service/default/default/hello/');
    expect(prefix('hello', 'v2')).toBe('/service/default/default/hello/v2/');
    expect(key('hello', ['10.0.0.7:8000', '10.0.0.7:8001'])).toBe(place);
    expect(goFrame({ head: 'services', deployment: 'prod', namespace: 'shop' }).key('hello', ['a:1'], 'v2')).toBe(
      '/services/prod/shop/hello/v2/a:1',
    );
    expect(() => key('hello', [])).toThrow(invalidArgument);
  });

  it('reads several addresses from the key and the metadata from the value', () => {
    expect(codec.decode(bytes('{"insecure":true,"weight":5}'), place)).toEqual({
      head: 'service',
      deployment: 'default',
      namespace: 'default',
      name: 'hello',
      version: 'latest',
      endpoints: ['10.0.0.7:8000', '10.0.0.7:8001'],
      metadata: { insecure: true, weight: 5 },
    });
  });

  it.each(['', 'null', '{}'])('reads %j as no metadata', (value) => {
    expect(codec.decode(bytes(value), place)?.metadata).toEqual({});
  });

  it('writes the metadata alone, all of it', () => {
    const decoded = codec.decode(bytes('{"insecure":true,"x":{"y":[1]}}'), place);
    expect(written(codec, decoded as NonNullable<typeof decoded>, place)).toBe('{"insecure":true,"x":{"y":[1]}}');
  });

  it('says what is wrong with a key of another layout', () => {
    expect(() => codec.decode(bytes('{}'), 'hello/latest/10.0.0.7:8000')).toThrow('expected a key like /service/');
  });
});

describe('dubbo-go', () => {
  const { codec, prefix, key } = dubboGo();
  const literal =
    '{"ID":"10.0.0.7:20000","ServiceName":"user","Host":"10.0.0.7","Port":20000,"Weight":0,"Enable":true,"Healthy":true,' +
    '"Metadata":{"dubbo.endpoints":"[{\\"port\\":20000,\\"protocol\\":\\"tri\\"}]"},"ServiceMetadata":null,"Address":"10.0.0.7:20000","GroupName":"","Tag":""}\n';

  it('lays keys out as dubbo-go does', () => {
    expect(prefix('user')).toBe('/services/user/');
    expect(key({ ServiceName: 'user', Host: '10.0.0.7', Port: 20000 })).toBe('/services/user/10.0.0.7:20000');
  });

  it('reads its bytes and writes the same, line feed and unknown fields included', () => {
    const instance = codec.decode(bytes(literal), 'k');
    expect(instance).toMatchObject({ ServiceName: 'user', Host: '10.0.0.7', Port: 20000, Enable: true, Healthy: true });
    expect(written(codec, instance as NonNullable<typeof instance>)).toBe(literal);
  });

  it('names the field of a wrong type', () => {
    expect(() => codec.decode(bytes('{"Port":"20000"}'), 'k')).toThrow('Port: expected a number, got "20000"');
    expect(() => codec.decode(bytes('{"Enable":1}'), 'k')).toThrow('Enable: expected a boolean, got 1');
  });
});

describe('rpcx', () => {
  const { codec, prefix, key } = rpcx('/rpcx_test');

  it('lays keys out as rpcx does', () => {
    expect(prefix('Arith')).toBe('/rpcx_test/Arith/');
    expect(key('Arith', { network: 'tcp', address: '10.0.0.7:8972' })).toBe('/rpcx_test/Arith/tcp@10.0.0.7:8972');
  });

  it('reads the address from the key and the rest from a URL query, and writes the query sorted', () => {
    const server = codec.decode(
      bytes('group=test&tag=a&tag=b&weight=3&calls=0.00'),
      '/rpcx_test/Arith/tcp@10.0.0.7:8972',
    );
    expect(server).toEqual({
      network: 'tcp',
      address: '10.0.0.7:8972',
      params: { group: ['test'], tag: ['a', 'b'], weight: ['3'], calls: ['0.00'] },
    });
    expect(written(codec, server as NonNullable<typeof server>)).toBe('calls=0.00&group=test&tag=a&tag=b&weight=3');
  });

  it('takes the markers above the servers for no instances', () => {
    expect(codec.decode(bytes('rpcx_path'), '/rpcx_test')).toBeUndefined();
    expect(codec.decode(bytes('Arith'), '/rpcx_test/Arith')).toBeUndefined();
  });

  it('reads an empty value', () => {
    expect(codec.decode(bytes(''), 'tcp@a:1')).toEqual({ network: 'tcp', address: 'a:1', params: {} });
  });
});
