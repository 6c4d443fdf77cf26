import type { ResponseHeader } from '../wire/kv-messages.ts';
import type { CallHandler } from '../wire/grpc-server.ts';
import type { EtcdMethod, RequestOf, ResponseOf } from '../wire/methods.ts';
import type { PartialMessage } from '../wire/protobuf.ts';
import type { EtcdCore } from './core.ts';

/** What the services of one member see. */
export interface MemberView {
  readonly core: EtcdCore;
  readonly id: bigint;
  /** All members, for the member list. */
  readonly members: readonly { readonly id: bigint; readonly name: string; readonly clientUrl: string }[];
}

export function headerOf({ core, id }: MemberView, revision: number = core.store.revision): ResponseHeader {
  return { clusterId: core.clusterId, memberId: id, revision, raftTerm: core.raftTerm };
}

/** A method with one request and one answer. */
export function unary<M extends EtcdMethod>(
  answer: (request: RequestOf<M>) => PartialMessage<ResponseOf<M>>,
): CallHandler<M> {
  return (call) => ({
    message(request) {
      call.reply(answer(request));
    },
    halfClosed: () => undefined,
    closed: () => undefined,
  });
}
