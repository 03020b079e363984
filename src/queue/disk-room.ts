/**
 * Room on the data folder's disk: what is free, what of it is promised to content that is arriving, and what is kept back.
 *
 * Rules
 * 1. Below `minimumFree` nothing is taken in, while settling goes on: a queue that can still empty itself gets room again.
 * 2. Content that arrives has its room promised before it is written (promised-writer.ts).
 * 3. Others may fill the disk to the last octet. For that there is the ballast, a file of random octets that is given up to let what was
 *    delivered be settled. Until there is room to make it anew nothing is taken in.
 */
import { randomFillSync } from "node:crypto";
import { rmSync, statfsSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Clock } from "../util/clock.ts";
import { fileError } from "./body-files.ts";
import { StoreError } from "./store.ts";

/** Enough for some hundred commits that settle. */
export const BALLAST_SIZE = 4 * 1024 * 1024;
const BALLAST_FILE = "ballast";
const FREE_CHECK_MS = 1000;

function freeOn(folder: string): number {
  const { bavail, bsize } = statfsSync(folder);
  return bavail * bsize;
}

/** Gives the ballast up. False where there was none. */
export function giveUpBallast(folder: string): boolean {
  const path = join(folder, BALLAST_FILE);
  if (statSync(path, { throwIfNoEntry: false }) === undefined) return false;
  rmSync(path, { force: true });
  return true;
}

export interface DiskRoomOptions {
  readonly folder: string;
  /** Octets. */
  readonly minimumFree: number;
  readonly clock: Clock;
  /** Octets that are free on the folder's disk. */
  readonly free?: () => number;
}

export class DiskRoom {
  readonly #options: DiskRoomOptions;
  readonly #lookAtDisk: () => number;
  #checked = Number.NEGATIVE_INFINITY;
  #free = 0;
  #promised = 0;
  #hasBallast: boolean;

  constructor(options: DiskRoomOptions) {
    this.#options = options;
    this.#lookAtDisk = options.free ?? (() => freeOn(options.folder));
    this.#hasBallast = statSync(join(options.folder, BALLAST_FILE), { throwIfNoEntry: false })?.size === BALLAST_SIZE;
  }

  /** For what is written now. Throws a StoreError: full. */
  take(size: number): void {
    this.#mustHave(size);
    this.#free -= size; // until the next look, what is let in counts as gone
  }

  /** For what will be written. Throws a StoreError: full. */
  promise(size: number): void {
    this.#mustHave(size);
    this.#promised += size;
  }

  /** A part of a promise is written. */
  spend(size: number): void {
    this.#promised -= size;
    this.#free -= size;
  }

  /** The rest of a promise is not needed. */
  release(size: number): void {
    this.#promised -= size;
  }

  /** Makes room for settling. False where there is nothing left to give up. */
  giveUpBallast(): boolean {
    this.#hasBallast = false;
    try {
      return giveUpBallast(this.#options.folder);
    } catch {
      return false; // such as on a disk that has become read-only
    }
  }

  #mustHave(size: number): void {
    const { minimumFree, clock } = this.#options;
    const now = clock.now();
    if (Math.abs(now - this.#checked) >= FREE_CHECK_MS) {
      this.#checked = now;
      this.#free = this.#lookAtDisk();
    }
    const left = this.#free - this.#promised - size;
    if (left < minimumFree) throw this.#full(`${minimumFree} are kept free`);
    if (this.#hasBallast) return;
    if (left - BALLAST_SIZE < minimumFree) throw this.#full(`${minimumFree} are kept free and ${BALLAST_SIZE} are needed for the ballast`);
    this.#makeBallast();
  }

  #makeBallast(): void {
    const path = join(this.#options.folder, BALLAST_FILE);
    try {
      // Random: no file system can keep it in less room than it has octets.
      writeFileSync(path, randomFillSync(Buffer.allocUnsafe(BALLAST_SIZE)), { mode: 0o600 });
    } catch (thrown) {
      rmSync(path, { force: true });
      const { code, message } = fileError(thrown);
      throw new StoreError(code, `the ballast cannot be made: ${message}`, { cause: thrown });
    }
    this.#hasBallast = true;
    this.#free -= BALLAST_SIZE;
  }

  #full(kept: string): StoreError {
    const promised = this.#promised > 0 ? `, ${this.#promised} of them promised to what is arriving` : "";
    return new StoreError("full", `${this.#options.folder}: ${this.#free} octets free${promised}; ${kept}`);
  }
}
