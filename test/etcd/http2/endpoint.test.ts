import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseEndpoint } from '../../../src/etcd/http2/endpoint.ts';
import { RxEtcdError } from '../../../src/errors.ts';

test.each([
  ['http://127.0.0.1:2379', '127.0.0.1:2379', false],
  ['https://etcd.example:2379', 'etcd.example:2379', true],
  ['HTTPS://Etcd.Example', 'etcd.example:443', true],
  ['etcd', 'etcd:2379', undefined],
  ['etcd:1', 'etcd:1', undefined],
  ['http://etcd:2379/', 'etcd:2379', false],
  ['[::1]:2379', '[::1]:2379', undefined],
  ['http://[fe80::1%eth0]:2379', '[fe80::1%eth0]:2379', false],
  ['::1', '[::1]:2379', undefined],
  ['dns:///etcd.svc:2379', 'etcd.svc:2379', undefined],
  ['dns:etcd.svc:2379', 'etcd.svc:2379', undefined],
  ['ipv4:10.0.0.1:2379', '10.0.0.1:2379', undefined],
  ['ipv6:[::1]:2379', '[::1]:2379', undefined],
  ['unix:///run/etcd.sock', '/run/etcd.sock', undefined],
  ['unix:etcd.sock', 'etcd.sock', undefined],
  ['http://bücher.example:2379', 'xn--bcher-kva.example:2379', false],
])('%s is understood', (given, name, secure) => {
  expect(parseEndpoint('hosts', given)).toMatchObject({ name, secure });
});

test.each([
  ['a:2379,b:2379', 'an array'],
  ['http://a:2379,http://b:2379', 'an array'],
  ['http://a:2379/path', 'without a path'],
  ['a:2379?x', 'without a path'],
  ['a:99999', 'a port'],
  ['a:0', 'a port'],
  ['a:', 'a port'],
  ['a:port', 'a port'],
  ['http://user:secret@a:2379', 'without a user'],
  ['ftp://a:2379', 'http://'],
  ['http://https://a', 'http://'],
  ['', 'an address'],
  ['http://', 'host:port'],
  [':2379', 'host:port'],
  ['[::1', 'host:port'],
  ['[zz]:1', 'host:port'],
  ['a b:1', 'without spaces'],
  ['a\n:1', 'without spaces'],
  ['a_%$:1', 'a host name'],
  ['unix://', 'the path'],
  ['unix:///a\0b', 'the path'],
  [undefined, 'an address'],
  [7, 'an address'],
])('%j is refused at the call, with what was wanted', (given, wanted) => {
  expect(() => parseEndpoint('client.hosts[1]', given)).toThrow('client.hosts[1]: expected');
  expect(() => parseEndpoint('client.hosts[1]', given)).toThrow(wanted);
});

test('whatever the string is, it is an endpoint or refused', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.webUrl(), fc.ipV6(), fc.domain()), (given) => {
      try {
        expect(parseEndpoint('hosts', given).name).not.toBe('');
      } catch (error) {
        expect(error).toBeInstanceOf(RxEtcdError);
      }
    }),
  );
});
