import type { ClientSettings } from '../client-settings.ts';
import { Channel, type ChannelListener } from './channel.ts';
import type { Endpoint } from './endpoint.ts';
import { proxyFor } from './http-proxy.ts';
import type { TimerQueue } from '../../time/timer-queue.ts';

// A black hole must not keep one from the next member for long; a far network with TLS needs several round trips.
const FIRST_CONNECT_MS = 3000;
const LONGEST_CONNECT_MS = 30_000;

/** A lost SYN is sent again after 1, 3 and 7 s: waiting longer than that finds a server that is back later, not sooner. */
const LONGEST_TCP_MS = 6500;

export interface OpenOptions {
  readonly settings: ClientSettings;
  readonly endpoint: Endpoint;
  /** How often a connection failed in a row before. */
  readonly failures: number;
  readonly timers: TimerQueue;
}

/** Opens a channel to one member, as the settings say. What they throw (a user's function) is thrown. */
export function openChannel({ settings, endpoint, failures, timers }: OpenOptions, listener: ChannelListener): Channel {
  const { transport } = settings;
  const { address } = endpoint;
  const connectTimeoutMs =
    transport.dialTimeoutMs ?? Math.min(LONGEST_CONNECT_MS, FIRST_CONNECT_MS * 2 ** Math.min(failures, 10));
  const proxy = transport.usesProxy && address.type === 'tcp' ? proxyFor(address.host, process.env) : undefined;
  return new Channel(
    {
      endpoint,
      tls: settings.tls(endpoint),
      proxy,
      tcpTimeoutMs: transport.dialTimeoutMs ?? LONGEST_TCP_MS,
      connectTimeoutMs,
      keepAliveMs: transport.keepAliveMs,
      keepAliveTimeoutMs: transport.keepAliveTimeoutMs,
      timers,
      authority: transport.authority ?? (address.type === 'unix' ? 'localhost' : endpoint.name),
      userAgent: transport.userAgent,
      maxReceiveBytes: transport.maxReceiveBytes,
      maxSendBytes: transport.maxSendBytes,
    },
    listener,
  );
}
