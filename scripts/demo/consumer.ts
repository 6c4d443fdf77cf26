import type { Etcd3 } from 'etcd3';
import { concatMap, defer, filter, interval, map, retry, shareReplay, withLatestFrom, type Observable } from 'rxjs';
import {
  changes,
  roundRobin,
  watchPrefix$,
  watchPrefixState$,
  type Change,
  type PrefixState,
  type Selector,
  type Snapshot,
} from 'rx-etcd';
import { greetingKey, hostsPrefix, settingsPrefix, type Answer } from './places.ts';

/** A request that was answered. */
export interface Served extends Answer {
  /** How many hosts it had found dead before. */
  readonly dead: number;
}

/** What the demo's own process does with etcd: it consumes. */
export interface Consumer {
  readonly hosts$: Observable<Snapshot<string>>;
  readonly changes$: Observable<Change<string>>;
  readonly state$: Observable<PrefixState<string>>;
  readonly greeting$: Observable<string | undefined>;
  /** Sends a request every so often, for as long as it is subscribed, to the hosts in turn. */
  requests$(everyMs: number): Observable<Served>;
  /** The sets of hosts that fit. */
  hostsWhere$(fits: (hosts: ReadonlyMap<string, string>) => boolean): Observable<Snapshot<string>>;
}

export function consumerOf(etcd: Etcd3, prefix: string): Consumer {
  const hosts$ = watchPrefix$(etcd, hostsPrefix(prefix)).pipe(shareReplay({ bufferSize: 1, refCount: true }));
  // Shared, so that all requests follow one rotation.
  const selector$ = hosts$.pipe(roundRobin(), shareReplay({ bufferSize: 1, refCount: true }));
  return {
    hosts$,
    changes$: hosts$.pipe(changes()),
    state$: watchPrefixState$(etcd, hostsPrefix(prefix)).pipe(shareReplay({ bufferSize: 1, refCount: true })),
    greeting$: watchPrefix$(etcd, settingsPrefix(prefix)).pipe(map((settings) => settings.get(greetingKey(prefix)))),
    requests$: (everyMs) =>
      interval(everyMs).pipe(
        withLatestFrom(selector$),
        concatMap(([, selector]) => request$(selector)),
      ),
    hostsWhere$: (fits) => hosts$.pipe(filter<Snapshot<string>>(fits)),
  };
}

/** One request: to the next host, and to the one after it when that is dead. */
function request$(selector: Selector<string>): Observable<Served> {
  let dead = 0;
  return defer(async () => {
    const host = selector.pick();
    if (host === undefined) throw new Error('there is no host to ask');
    const response = await fetch(`http://${host}/`, {
      signal: AbortSignal.timeout(2000),
    });
    return (await response.json()) as Answer;
  }).pipe(
    retry({
      count: 5,
      delay: () => {
        dead += 1;
        return [undefined];
      },
    }),
    map((answer) => ({ ...answer, dead })),
  );
}
