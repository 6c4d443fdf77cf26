// The main job once, on real etcd: providers register, a consumer follows them, and things go wrong.
//
//   npm run demo                       on an etcd of its own, in a temporary directory
//   ETCD_HOSTS=host:2379 npm run demo  on that one, which is then not killed
//
// Each act ends by checking what it showed. The exit code is 0 only when all of it was so.
import { fromEvent, map, merge, timer } from 'rxjs';
import { startEtcd } from '../../test/support/etcd-server.ts';
import { acts } from './acts.ts';
import { hostsOfEtcd } from './places.ts';
import { setStage } from './stage.ts';
import { startTimeline } from './timeline.ts';

const TTL_SECONDS = 5;
const LIMIT_SECONDS = 60;

const timeline = startTimeline();
const given = hostsOfEtcd();
const server = given.length > 0 ? undefined : await startEtcd();
timeline.say(
  'etcd',
  server === undefined
    ? `is the one at ${given.join(', ')}`
    : `runs on port ${server.clientPort}, its data in a temporary directory`,
);
const stage = setStage({
  timeline,
  server,
  etcdHosts: server === undefined ? given : [server.clientUrl],
  prefix: `/rx-etcd-demo/${process.pid}/`,
  ttlSeconds: TTL_SECONDS,
});

const stop$ = merge(
  merge(fromEvent(process, 'SIGINT'), fromEvent(process, 'SIGTERM')).pipe(map(() => 'interrupted')),
  timer(LIMIT_SECONDS * 1000).pipe(map(() => `not over after ${LIMIT_SECONDS} s`)),
);
const stopped = new AbortController();
const stopping = stop$.subscribe((reason) => {
  stopped.abort();
  timeline.check(false, reason);
  void stage.clear();
});

try {
  for (const act of acts) await act(stage);
} catch (error) {
  if (!stopped.signal.aborted) timeline.check(false, error instanceof Error ? error.message : String(error));
}
stopping.unsubscribe();
await stage.clear();
await server?.stop();

const { failures } = timeline;
console.log(
  failures.length === 0 ? `\nAll of it was so, in ${timeline.nowMs()} ms.` : `\nNot so:\n- ${failures.join('\n- ')}`,
);
process.exitCode = failures.length === 0 ? 0 : 1;
// Nothing is left to do, so this process ends by itself. Were something of ours to keep it alive, this would say so.
setTimeout(() => {
  console.log('✗ something keeps this process alive');
  process.exit(1);
}, 5000).unref();
