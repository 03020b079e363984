/** The queue: what was accepted and is not settled yet. */
export { BODY_FILE_THRESHOLD } from "./body-files.ts";
export { type Attempted, type NextAttempt, RetrySchedule, type RetryScheduleOptions } from "./retry-schedule.ts";
export { Scheduler, type SchedulerOptions } from "./scheduler.ts";
export { MINIMUM_FREE, openSqliteStore, queueProcedures, type SqliteStoreOptions } from "./sqlite-store.ts";
export * from "./store.ts";
