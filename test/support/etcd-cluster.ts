import { type EtcdOptions, type EtcdServer, startEtcd } from './etcd-server.ts';
import { eventually } from './eventually.ts';
import { freePort } from './free-port.ts';
import { startProxy, type TcpProxy } from './tcp-proxy.ts';

/** How to start a cluster. */
export interface ClusterOptions {
  /** Default 3. */
  readonly size?: number;
  /** Puts a proxy before each member's peer port, so that `partition` works. Default true. */
  readonly partitionable?: boolean;
  /** For every member. `heartbeatMs` is 50 by default here. */
  readonly member?: EtcdOptions;
}

/** A cluster of real etcds on this machine. */
export interface EtcdCluster {
  readonly members: readonly EtcdServer[];
  /** Every member's client URL. */
  readonly clientUrls: string[];
  /** The index of the member that leads, once a majority of all members says so. */
  leader(): Promise<number>;
  /** Resolves when every running member that is not cut off is healthy. */
  waitHealthy(): Promise<void>;
  /** Cuts a member off from its peers, both ways; its clients still reach it. */
  partition(index: number): void;
  /** Joins a member again. */
  heal(index: number): void;
  /** Kills all of it and removes everything. */
  stop(): Promise<void>;
}

/** Starts a cluster; resolves when all of it is healthy. */
export async function startCluster(options: ClusterOptions = {}): Promise<EtcdCluster> {
  for (let attempt = 1; ; attempt++) {
    const built = await build(options);
    try {
      await built.waitHealthy();
      await built.learnIds();
      return built.cluster;
    } catch (error) {
      const collided = built.cluster.members.some((member) => member.log().includes('address already in use'));
      await built.cluster.stop();
      if (attempt < 5 && collided) continue;
      throw error;
    }
  }
}

interface Built {
  readonly cluster: EtcdCluster;
  waitHealthy(): Promise<void>;
  learnIds(): Promise<void>;
}

interface Peer {
  readonly name: string;
  readonly peerPort: number;
  readonly proxy: TcpProxy | undefined;
}

async function build(options: ClusterOptions): Promise<Built> {
  const { size = 3, partitionable = true } = options;
  const cutOff = new Set<number>();
  const memberIds = new Map<string, number>();
  const peers: Peer[] = [];
  // Per member, who dials in on each connection of its proxy, as far as it has said so.
  const dialers = Array.from({ length: size }, () => new Map<number, number>());

  for (let index = 0; index < size; index++) {
    const peerPort = await freePort();
    const allow = (connection: number, chunk: Buffer): boolean => admit(index, connection, chunk);
    const proxy = partitionable ? await startProxy(peerPort, { allow }) : undefined;
    peers.push({ name: `m${index}`, peerPort, proxy });
  }
  const members = await Promise.all(peers.map((peer) => startEtcd(memberOptions(options, peer, peers))));

  const cluster: EtcdCluster = {
    members,
    clientUrls: members.map((member) => member.clientUrl),
    leader() {
      return eventually(() => findLeader(members).then((index) => (index === undefined ? undefined : { index })), {
        withinMs: 20_000,
        what: 'a leader known to a majority',
      }).then(({ index }) => index);
    },
    async waitHealthy() {
      const reachable = members.filter((member, index) => member.running && !cutOff.has(index));
      await Promise.all(reachable.map((member) => member.waitHealthy()));
    },
    partition(index) {
      const { proxy } = peerAt(index);
      if (proxy === undefined) throw new Error('this cluster was started without `partitionable`');
      cutOff.add(index);
      proxy.cut();
      for (const [other, peer] of peers.entries()) {
        peer.proxy?.cutWhere((connection) => dialers[other]?.get(connection) === index);
      }
    },
    heal(index) {
      cutOff.delete(index);
    },
    async stop() {
      await Promise.all(members.map((member) => member.stop()));
      for (const { proxy } of peers) await proxy?.stop();
    },
  };
  return { cluster, waitHealthy: cluster.waitHealthy, learnIds };

  // A proxy alone cuts off only those who dial in. What a member dials out to is told by the header that etcd's
  // peers put on every raft request; it may come late on a connection, so every chunk is looked at.
  function admit(to: number, connection: number, chunk: Buffer): boolean {
    const [, id] = /X-Server-From: ([0-9a-f]+)\r\n/i.exec(chunk.toString('latin1')) ?? [];
    const from = id === undefined ? undefined : memberIds.get(id);
    if (from !== undefined) dialers[to]?.set(connection, from);
    const dialer = dialers[to]?.get(connection);
    return !cutOff.has(to) && (dialer === undefined || !cutOff.has(dialer));
  }

  // Connections made before the ids were known are cut once, so that a member that dials again says which it is.
  async function learnIds(): Promise<void> {
    for (const [index, member] of members.entries()) {
      const { id } = await status(member);
      memberIds.set(BigInt(id).toString(16), index);
    }
    for (const peer of peers) peer.proxy?.cut();
    await cluster.waitHealthy();
  }

  function peerAt(index: number): Peer {
    const peer = peers[index];
    if (peer === undefined) throw new RangeError(`no member ${index} in a cluster of ${size}`);
    return peer;
  }
}

function memberOptions(options: ClusterOptions, peer: Peer, peers: readonly Peer[]): EtcdOptions {
  const advertised = ({ proxy, peerPort }: Peer): string => proxy?.url ?? `http://127.0.0.1:${peerPort}`;
  return {
    heartbeatMs: 50,
    ...options.member,
    name: peer.name,
    peerPort: peer.peerPort,
    readyWithinMs: 0,
    extraArgs: [
      `--initial-advertise-peer-urls=${advertised(peer)}`,
      `--initial-cluster=${peers.map((each) => `${each.name}=${advertised(each)}`).join(',')}`,
      ...(options.member?.extraArgs ?? []),
    ],
  };
}

interface Status {
  /** The member's id, and the leader's as it sees it, in decimal; "0" for none. */
  readonly id: string;
  readonly leader: string;
}

async function status(member: EtcdServer): Promise<Status> {
  const answer = await fetch(`${member.clientUrl}/v3/maintenance/status`, {
    method: 'POST',
    body: '{}',
    signal: AbortSignal.timeout(2000),
  });
  const body = (await answer.json()) as { header: { member_id: string }; leader?: string };
  return { id: body.header.member_id, leader: body.leader ?? '0' };
}

async function findLeader(members: readonly EtcdServer[]): Promise<number | undefined> {
  const all = await Promise.all(members.map((member) => status(member).catch(() => undefined)));
  const index = all.findIndex((each) => each?.id === each?.leader && each !== undefined);
  const votes = all.filter((each) => each !== undefined && each.leader === all[index]?.id).length;
  return index >= 0 && votes > members.length / 2 ? index : undefined;
}
