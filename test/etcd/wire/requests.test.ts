import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  decodeAuthenticateResponse,
  decodeLeaseGrantResponse,
  decodeTxnResponse,
} from '../../../src/etcd/wire/answers.ts';
import { ownMethods } from '../../../src/etcd/wire/methods.ts';
import { stockMethods } from '../../support/stock-methods.ts';

const stock = stockMethods();

const bytes = fc.uint8Array({ maxLength: 200 }).map((array) => Buffer.from(array));
const revision = fc.oneof(fc.constantFrom(0, 1, 127, 128, 2 ** 31, 2 ** 32, 2 ** 53 - 1), fc.nat());
const id = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(String);
const range = fc.record(
  {
    key: bytes,
    range_end: bytes,
    limit: fc.nat(),
    revision,
    sort_order: fc.constantFrom('None', 'Ascend', 'Descend'),
    sort_target: fc.constantFrom('Key', 'Version', 'Create', 'Mod', 'Value'),
    keys_only: fc.boolean(),
    count_only: fc.boolean(),
    serializable: fc.boolean(),
  },
  { requiredKeys: ['key'] },
);
const put = fc.record({ key: bytes, value: bytes, lease: id });
const operation = fc.oneof(
  range.map((request_range) => ({ request_range })),
  put.map((request_put) => ({ request_put })),
  bytes.map((key) => ({ request_delete_range: { key } })),
);
const compare = fc.oneof(
  fc.record({ key: bytes, result: fc.constant('Equal'), target: fc.constant('Create'), create_revision: revision }),
  fc.record({ key: bytes, result: fc.constant('Equal'), target: fc.constant('Mod'), mod_revision: revision }),
  fc.record({ key: bytes, result: fc.constant('Equal'), target: fc.constant('Lease'), lease: id }),
);
const operations = fc.array(operation, { maxLength: 4 });
const requests = {
  range,
  txn: fc.record({ compare: fc.array(compare, { maxLength: 4 }), success: operations, failure: operations }),
  watch: fc.oneof(
    fc
      .record(
        {
          key: bytes,
          range_end: bytes,
          start_revision: revision,
          watch_id: fc.nat(),
          fragment: fc.boolean(),
          prev_kv: fc.boolean(),
        },
        { requiredKeys: ['key'] },
      )
      .map((create_request) => ({ create_request })),
    fc.nat().map((watch_id) => ({ cancel_request: { watch_id } })),
    fc.constant({ progress_request: {} }),
  ),
  leaseGrant: fc.record({ TTL: fc.nat(), ID: id }),
  leaseRevoke: fc.record({ ID: id }),
  leaseKeepAlive: fc.record({ ID: id }),
  authenticate: fc.record({ name: fc.string({ unit: 'grapheme' }), password: fc.string({ unit: 'grapheme' }) }),
};

test.each(Object.entries(requests))(
  'a %s request is read by etcd3 as what etcd3 would have written',
  (name, arbitrary) => {
    const method = name as keyof typeof requests;
    fc.assert(
      fc.property(arbitrary as fc.Arbitrary<object>, (request) => {
        const { requestDeserialize, requestSerialize } = stock[method];
        expect(requestDeserialize(ownMethods[method].requestSerialize(request))).toEqual(
          requestDeserialize(requestSerialize(request)),
        );
      }),
    );
  },
);

test.each(Object.entries(ownMethods))('%s has the path that etcd3 uses', (name, { path }) => {
  expect(path).toBe(stock[name as keyof typeof stock].path);
});

test('an end that is left out is not written, and an empty one is: etcd tells them apart', () => {
  const key = Buffer.from('a');
  expect([...ownMethods.range.requestSerialize({ key })]).toEqual([10, 1, 97]);
  expect([...ownMethods.range.requestSerialize({ key, range_end: Buffer.alloc(0) })]).toEqual([10, 1, 97, 18, 0]);
});

const keyValue = fc.record({ key: bytes, value: bytes, create_revision: revision, mod_revision: revision, lease: id });
const header = fc.option(fc.record({ cluster_id: fc.constant('14841639068965178418'), revision }));

test('a txn answer is read as etcd3 reads it', () => {
  const response = fc.oneof(
    fc.record({ response_range: fc.record({ header, kvs: fc.array(keyValue, { maxLength: 4 }), count: fc.nat() }) }),
    fc.constant({ response_put: {} }),
    fc.constant({ response_delete_range: { deleted: 3 } }),
  );
  const answer = fc.record({ header, succeeded: fc.boolean(), responses: fc.array(response, { maxLength: 4 }) });
  fc.assert(
    fc.property(answer, (given) => {
      const written = stock.txn.responseSerialize(given);
      const ours = decodeTxnResponse(written);
      const theirs = stock.txn.responseDeserialize(written) as ReturnType<typeof decodeTxnResponse>;
      expect(ours.succeeded).toBe(theirs.succeeded);
      expect(ours.header?.revision).toBe(theirs.header?.revision);
      const seen = (responses: typeof ours.responses): unknown =>
        responses.map((each) => [
          (each.response_put ?? undefined) !== undefined,
          (each.response_delete_range ?? undefined) !== undefined,
          (each.response_range ?? undefined) !== undefined,
          fields(each.response_range?.kvs),
        ]);
      expect(seen(ours.responses)).toEqual(seen(theirs.responses));
    }),
  );
});

type KeyValues = NonNullable<ReturnType<typeof decodeTxnResponse>['responses'][0]['response_range']>['kvs'];

function fields(kvs: KeyValues | undefined): unknown {
  return (kvs ?? []).map(({ key, value, create_revision, mod_revision, lease }) => [
    [...key],
    [...value],
    create_revision,
    mod_revision,
    lease,
  ]);
}

test('the answers to a grant and an authentication are read as etcd3 reads them', () => {
  fc.assert(
    fc.property(id, id, fc.string({ unit: 'grapheme' }), header, (ID, TTL, text, head) => {
      const granted = stock.leaseGrant.responseSerialize({ header: head, ID, TTL, error: text });
      expect(decodeLeaseGrantResponse(granted)).toEqual({ ID, TTL, error: text });
      const authenticated = stock.authenticate.responseSerialize({ header: head, token: text });
      expect(decodeAuthenticateResponse(authenticated)).toEqual({ token: text });
    }),
  );
});

test('whatever the bytes are, reading ends, with an answer or a RangeError', () => {
  const read = [decodeTxnResponse, decodeLeaseGrantResponse, decodeAuthenticateResponse];
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), (array) => {
      for (const decode of read) {
        try {
          decode(Buffer.from(array));
        } catch (error) {
          expect(error).toBeInstanceOf(RangeError);
        }
      }
    }),
    { numRuns: 1000 },
  );
});
