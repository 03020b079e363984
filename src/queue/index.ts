/**
 * The queue: what was accepted and is not settled yet. Its form in PostgreSQL is not named here, so that who keeps it in SQLite does not load
 * that: import `./postgres-store.ts`.
 */
export { BODIES_FOLDER, BODY_FILE_THRESHOLD } from "./body-files.ts";
export { type Counted, QueueControl, type RemoveOptions, type Selection } from "./control.ts";
export { giveUpBallast } from "./disk-room.ts";
export { type Filter, FilterError, parseFilter } from "./filter.ts";
export { type Migrated, type MigrateOptions, migrateQueue } from "./migrate.ts";
export { LocalQuota, type Quota, type QuotaRequest } from "./quota.ts";
export { type Attempted, type NextAttempt, RetrySchedule, type RetryScheduleOptions } from "./retry-schedule.ts";
export { Scheduler, type SchedulerOptions } from "./scheduler.ts";
export { MINIMUM_FREE, openSqliteStore, queueProcedures, type SqliteStoreOptions } from "./sqlite-store.ts";
export * from "./store.ts";
export type { Suppression, SuppressionKey, SuppressionList, SuppressionPage } from "./suppression.ts";
