/**
 * The log: one line for each thing said, on standard error.
 *
 * Rules
 * 1. JSON lines by pino where a program reads them; one readable line where a person does (a terminal).
 * 2. Writing is asynchronous and bounded: at LOG_BUFFER_LIMIT lines are lost and counted, mail is not held up.
 * 3. Lines are written in the order in which they were said, by `flush` at the latest: await it before the process ends.
 * 4. Field names are stable: other people's dashboards read them.
 */
import { inspect } from "node:util";
import { type Logger as Pino, pino } from "pino";
import { LineWriter } from "./line-writer.ts";

export type LogLevel = "debug" | "info" | "warn" | "error";
export type LogFields = Readonly<Record<string, unknown>>;

export interface Logger {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /** Whether lines of that level are written at all. */
  enabled(level: LogLevel): boolean;
  /** Resolves once everything said is written. */
  flush(): Promise<void>;
  /** For a process that dies now, as after an uncaught exception; a line that is just being written may be overtaken. */
  flushNow(): void;
}

export interface LoggerOptions {
  /** `auto`: readable on a terminal, else JSON. */
  readonly format?: "auto" | "json" | "readable";
  /** The least that is written; `info` where absent. */
  readonly level?: LogLevel;
  /** A file descriptor; standard error where absent. */
  readonly fd?: number;
  readonly isTerminal?: boolean;
}

/** Characters that may wait for a slow reader of the log. */
export const LOG_BUFFER_LIMIT = 16 * 1024 * 1024;

const severity: Readonly<Record<LogLevel, number>> = { debug: 20, info: 30, warn: 40, error: 50 };

export function createLogger(options: LoggerOptions = {}): Logger {
  const fd = options.fd ?? 2;
  const readable = options.format === "readable" || (options.format !== "json" && (options.isTerminal ?? process.stderr.isTTY === true));
  const out = new LineWriter(fd, LOG_BUFFER_LIMIT);
  const level = options.level ?? "info";
  const write = readable ? readableWriter((line) => out.write(line)) : jsonWriter(out, level);
  let waitingLost = 0;
  const say = (at: LogLevel, message: string, fields: LogFields | undefined): void => {
    if (severity[at] < severity[level]) return;
    write(at, message, fields);
    const lost = out.takeLost();
    if (lost > 0) waitingLost += lost;
    else if (waitingLost > 0) {
      write("warn", "log lines were lost: the log is read too slowly", { lost: waitingLost });
      waitingLost = out.takeLost() > 0 ? waitingLost : 0;
    }
  };
  return {
    debug: (message, fields) => say("debug", message, fields),
    info: (message, fields) => say("info", message, fields),
    warn: (message, fields) => say("warn", message, fields),
    error: (message, fields) => say("error", message, fields),
    enabled: (at) => severity[at] >= severity[level],
    flush: () => out.flush(),
    flushNow: () => out.flushNow(),
  };
}

/** Says nothing to anybody; for tests and for embedding. */
export const silentLogger: Logger = {
  debug() {},
  info() {},
  warn() {},
  error() {},
  enabled: () => false,
  flush: () => Promise.resolve(),
  flushNow() {},
};

type Write = (level: LogLevel, message: string, fields: LogFields | undefined) => void;

function jsonWriter(out: LineWriter, level: LogLevel): Write {
  const log: Pino = pino(
    {
      level,
      base: null,
      timestamp: isoTime(),
      formatters: { level: (label) => ({ level: label }) },
      messageKey: "message",
      errorKey: "error",
    },
    out,
  );
  return (at, message, fields) => {
    if (fields === undefined) log[at](message);
    else log[at](fields, message);
  };
}

/** pino's own costs an eighth of a line; under load many lines share a millisecond. */
function isoTime(): () => string {
  let last = Number.NaN;
  let text = "";
  return () => {
    const now = Date.now();
    if (now !== last) {
      last = now;
      text = `,"time":"${new Date(now).toISOString()}"`;
    }
    return text;
  };
}

function readableWriter(write: (line: string) => void): Write {
  return (at, message, fields) => write(`${readableLine(Date.now(), at, message, fields)}\n`);
}

/** `21:04:05 warning: message  name=value other="with spaces"` */
export function readableLine(now: number, level: LogLevel, message: string, fields?: LogFields): string {
  const word = level === "info" ? "" : level === "warn" ? "warning: " : `${level}: `;
  let line = `${timeOfDay(now)} ${word}${oneLine(message)}`;
  let gap = "  ";
  for (const name in fields) {
    const value = fields[name];
    if (value === undefined) continue;
    line += `${gap}${name}=${readableValue(value)}`;
    gap = " ";
  }
  return line;
}

function readableValue(value: unknown): string {
  if (value instanceof Error) return oneLine(value.stack ?? value.message);
  if (typeof value === "string") return /^[^\s"=\x00-\x1f\x7f]+$/.test(value) ? value : JSON.stringify(value);
  return oneLine(inspect(value, { breakLength: Number.POSITIVE_INFINITY, depth: 4 }));
}

/** HH:MM:SS in local time. */
export function timeOfDay(at: number): string {
  const date = new Date(at);
  const two = (n: number): string => (n < 10 ? `0${n}` : String(n));
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}

/** A peer's text must not move the cursor of whoever reads the log. */
export function oneLine(text: string): string {
  return text.replace(/[\x00-\x1f\x7f-\x9f\u2028\u2029]+/g, " ");
}
