import { EtcdFault, fatalError } from '../etcd/faults.ts';
import type { GrantedLease, Member } from '../etcd/member.ts';
import { observe } from './activity.ts';

/** Who is told what becomes of a grant. */
export interface GrantListener {
  onGranted(grant: Grant, answer: GrantedLease): void;
  onGrantFailed(grant: Grant, fault: unknown): void;
}

/** A grant that was sent. It is never cancelled: a revoke must know whether it came through. */
export class Grant {
  readonly leaseId: string;
  readonly sentAtMs: number;
  /** Whether nobody had asked for this id before: a lease that exists already is somebody else's. */
  readonly isFirst: boolean;
  isThrough = false;
  /** Whether etcd has told that the lease exists, or never will by this grant. */
  isAnswered = false;
  isForeign = false;
  readonly #listener: GrantListener;
  #onThrough: (() => void) | undefined;

  constructor(listener: GrantListener, leaseId: string, sentAtMs: number, isFirst: boolean) {
    this.#listener = listener;
    this.leaseId = leaseId;
    this.sentAtMs = sentAtMs;
    this.isFirst = isFirst;
  }

  send(member: Member, ttlSeconds: number): void {
    observe(() => member.grant$(ttlSeconds, this.leaseId), this);
  }

  /** Calls back when it is known what became of it: at once, if it is. */
  whenThrough(callback: () => void): void {
    if (this.isThrough) callback();
    else this.#onThrough = callback;
  }

  next(answer: GrantedLease): void {
    if (this.isThrough) return;
    this.isThrough = true;
    this.isAnswered = true;
    this.#listener.onGranted(this, answer);
    this.#onThrough?.();
  }

  error(fault: unknown): void {
    if (this.isThrough) return;
    this.isThrough = true;
    const exists = fault instanceof EtcdFault && fault.kind === 'lease-exists';
    this.isAnswered = exists || (fault instanceof EtcdFault && fatalError(fault) !== undefined);
    this.isForeign = this.isFirst && exists;
    this.#listener.onGrantFailed(this, fault);
    this.#onThrough?.();
  }

  complete(): void {
    if (!this.isThrough) this.error(new EtcdFault('connection', 'a grant ended without an answer'));
  }
}
