import { defer, map, type OperatorFunction, type TimestampProvider } from 'rxjs';
import { monotonicClock } from '../time/monotonic-clock.ts';
import { checkClock, checkedSelector, checkOptions } from './arguments.ts';
import { DerivedSelector } from './derived-selector.ts';
import {
  checkOutlierDetection,
  type HostState,
  OUTLIER_DETECTION_OPTIONS,
  type OutlierDetectionOptions,
  OutlierDetector,
} from './outlier-detection.ts';
import type { CallOutcome, LearningSelector, Selector } from './selector.ts';

/** Options of {@link ejectOutliers}. */
export interface EjectOutliersOptions extends OutlierDetectionOptions {
  /** Where the time is taken from; any RxJS scheduler will do. Default: a monotonic clock. */
  readonly scheduler?: TimestampProvider;
}

/** What is told of a call whose start was not: its latency is only of use where it is known. */
export type CallReport = Omit<CallOutcome, 'latencyMs'> & Partial<CallOutcome>;

/** A {@link Selector} that leaves out the hosts that fail, as it is told of calls. */
export interface EjectingSelector<T> extends LearningSelector<T> {
  /** Tells how a call to a host went, for picks whose start was not told by `started`. A key that is not there is ignored. */
  report(key: string, outcome: CallReport): void;
  /** How each host stands now. */
  states(): ReadonlyMap<string, HostState>;
}

/**
 * Leaves out hosts that keep failing, for picks by hand: what `balance()` does for its calls.
 *
 * An operator on selectors: it stands behind any of them, and is told of calls by `started`, or afterwards by `report`.
 * For a proxy's plug-in, say, that wants a host at once and hears of a failure elsewhere.
 *
 * A host that fails several times in a row is ejected for a time that grows each time it fails again soon after; the
 * first failure on its return is enough. So is one whose calls fail much more often than those of others, or take much
 * longer, as the options say. At most half of the hosts are ever left out; a pick that would otherwise find none gives an
 * ejected one. As cold as its source, with one selector for each of its; all of a subscription share what is known.
 *
 * @example
 * ```ts
 * import { of } from 'rxjs';
 * import { ejectOutliers, roundRobin } from 'rx-etcd';
 *
 * const hosts$ = of(new Map([['a', '10.0.0.1'], ['b', '10.0.0.2']]));
 * hosts$.pipe(roundRobin(), ejectOutliers({ failures: 1 })).subscribe((selector) => {
 *   selector.report('a', { result: 'failed' });
 *   console.log(selector.pick(), selector.pick()); // 10.0.0.2 10.0.0.2
 * });
 * ```
 */
export function ejectOutliers<T>(
  options: EjectOutliersOptions = {},
): OperatorFunction<Selector<T>, EjectingSelector<T>> {
  checkOptions('options', options, { ...OUTLIER_DETECTION_OPTIONS, scheduler: true });
  const { scheduler = monotonicClock, ...detection } = options;
  checkOutlierDetection('options', detection);
  checkClock('options.scheduler', scheduler);
  return (source) =>
    defer(() => {
      const detector = new OutlierDetector(detection, scheduler);
      return source.pipe(
        map((selector) => {
          detector.follow(checkedSelector('source', selector).hosts);
          return new OutlierSelector(selector, detector);
        }),
      );
    });
}

class OutlierSelector<T> extends DerivedSelector<T> implements EjectingSelector<T> {
  override readonly started: (key: string) => (outcome: CallOutcome) => void;
  readonly #selector: Selector<T>;
  readonly #detector: OutlierDetector;

  constructor(selector: Selector<T>, detector: OutlierDetector) {
    super(selector, (affinity, avoid) => pickHealthy(selector, detector, affinity, avoid));
    this.#selector = selector;
    this.#detector = detector;
    this.started = (key) => {
      const learned = selector.started?.(key);
      let ended = false;
      return (outcome) => {
        if (ended) return;
        ended = true;
        detector.learn(key, outcome);
        learned?.(outcome);
      };
    };
  }

  report(key: string, outcome: CallReport): void {
    const { latencyMs } = outcome;
    this.#detector.learn(key, { latencyMs: NaN, ...outcome });
    if (latencyMs !== undefined) this.#selector.started?.(key)({ ...outcome, latencyMs });
  }

  states(): ReadonlyMap<string, HostState> {
    return new Map([...this.hosts.keys()].map((key) => [key, this.#detector.stateOf(key)]));
  }
}

/** A host that is not ejected, where there is one that is not to be avoided. */
function pickHealthy<T>(
  selector: Selector<T>,
  detector: OutlierDetector,
  affinity: string | undefined,
  avoid: ((key: string) => boolean) | undefined,
): readonly [string, T] | undefined {
  detector.passTime();
  if (detector.isIdle()) return selector.pickEntry(affinity, avoid);
  const isOut = (key: string): boolean => avoid?.(key) === true || detector.isLeftOut(key);
  return selector.pickEntry(affinity, isOut) ?? selector.pickEntry(affinity, avoid);
}
