/**
 * Where a transporter writes what it does: a logger of the caller's, in bunyan's manner, or the console.
 *
 * Rules
 * 1. No password, token or content is written, whatever `debug` says.
 */
import type { TranscriptLine } from "../client/transcript.ts";

export type LogLevel = "trace" | "debug" | "info" | "warn" | "error" | "fatal";

/** Any of the levels may be missing. */
export type LoggerLike = Partial<Record<LogLevel, (entry: Record<string, unknown>, message: string) => void>>;

export class Log {
  readonly #logger: LoggerLike | undefined;

  constructor(logger: LoggerLike | boolean | undefined) {
    this.#logger = logger === true ? consoleLogger : typeof logger === "object" && logger !== null ? logger : undefined;
  }

  get on(): boolean {
    return this.#logger !== undefined;
  }

  info(tnx: string, message: string, more: Record<string, unknown> = {}): void {
    this.#logger?.info?.({ component: "mail", tnx, ...more }, message);
  }

  error(tnx: string, error: Error): void {
    this.#logger?.error?.({ component: "mail", tnx, err: error }, error.message);
  }

  /** A line of the dialogue. */
  readonly transcript = ({ direction, text }: TranscriptLine): void => {
    const tnx = direction === "->" ? "client" : direction === "<-" ? "server" : "network";
    this.#logger?.debug?.({ component: "smtp-connection", tnx }, text);
  };
}

const line =
  (level: LogLevel) =>
  ({ tnx }: Record<string, unknown>, message: string): void => {
    const direction = tnx === "client" ? "C: " : tnx === "server" ? "S: " : "";
    console.log(`[${new Date().toISOString()}] ${level.toUpperCase().padEnd(5)} ${direction}${message}`);
  };

const consoleLogger: LoggerLike = { debug: line("debug"), info: line("info"), error: line("error") };
