/**
 * The moments at which the server is killed, or a sync of it fails: one for each line of the table in src/queue/store.ts, and between them.
 *
 * Rules
 * 1. Each point is passed under the load, or the suite fails: a point that is never reached tests nothing.
 * 2. While the next hop is silent nothing can be delivered twice; where it takes mail, what it took and could not be recorded may come again.
 */
export interface CrashPoint {
  /** As the report calls it. */
  readonly title: string;
  /** As the shim calls it; absent: at a random moment, from outside. */
  readonly point?: string;
  /** It is the n-th passing, n from 1 to this. */
  readonly upTo: number;
  /** The next hop says nothing until the restart. */
  readonly silent: boolean;
  /** A sync fails there: the process must end by itself, and its clients hear 421. Otherwise it is killed. */
  readonly fails?: boolean;
}

export const crashPoints: readonly CrashPoint[] = [
  { title: "at random, nothing is delivered yet", upTo: 150, silent: true },
  { title: "at random, while it delivers", upTo: 150, silent: false },
  { title: "a large body: written, not synced", point: "body:before-sync", upTo: 8, silent: true },
  { title: "a large body: synced, its folder is not", point: "folder:before-sync", upTo: 8, silent: true },
  { title: "a large body and its folder synced, no row", point: "folder:after-sync", upTo: 8, silent: true },
  { title: "the commit: half written", point: "wal:after-write", upTo: 200, silent: true },
  { title: "the commit: written, before its sync", point: "wal:before-sync", upTo: 60, silent: true },
  { title: "the commit: synced", point: "wal:after-sync", upTo: 60, silent: true },
  { title: "before the 250 is sent", point: "reply:before", upTo: 100, silent: true },
  { title: "after the 250 is sent", point: "reply:after", upTo: 100, silent: true },
  { title: "to the next hop: in the middle of DATA", point: "hop:during-data", upTo: 60, silent: false },
  { title: "to the next hop: after the final dot", point: "hop:after-dot", upTo: 60, silent: false },
  { title: "the next hop's 250 read, before it is settled", point: "hop:after-250", upTo: 60, silent: false },
  { title: "settling: before the commit is written", point: "settling:before-write", upTo: 20, silent: false },
  { title: "settling: written, before its sync", point: "settling:before-sync", upTo: 20, silent: false },
  { title: "settling: synced", point: "settling:after-sync", upTo: 20, silent: false },
  { title: "settled, before the body's file is removed", point: "body:before-unlink", upTo: 4, silent: false },
  { title: "settled, after the body's file is removed", point: "body:after-unlink", upTo: 4, silent: false },
  { title: "the checkpoint: half written", point: "database:after-write", upTo: 40, silent: false },
  { title: "the checkpoint: written, before its sync", point: "database:before-sync", upTo: 1, silent: false },
  { title: "EIO on the sync of a commit", point: "wal:eio", upTo: 40, silent: false, fails: true },
  { title: "EIO on the sync of a large body", point: "body:eio", upTo: 6, silent: false, fails: true },
  { title: "EIO on the sync of the bodies' folder", point: "folder:eio", upTo: 6, silent: false, fails: true },
  { title: "EIO on the sync of a checkpoint", point: "database:eio", upTo: 1, silent: false, fails: true },
];
