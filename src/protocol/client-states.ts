/**
 * What a client can be waiting for: how long it waits (RFC 5321 4.5.3.2) and what it says it was doing if that fails.
 */
import { minutes } from "../util/clock.ts";

export interface ClientStateFacts {
  /** Milliseconds. */
  readonly timeout: number;
  /** Completes "… while". */
  readonly doing: string;
}

export const clientStates = {
  connect: { timeout: minutes(0.5), doing: "connecting" },
  greeting: { timeout: minutes(5), doing: "waiting for the greeting" }, // 4.5.3.2.1
  ehlo: { timeout: minutes(5), doing: "sending EHLO" },
  helo: { timeout: minutes(5), doing: "sending HELO" },
  starttls: { timeout: minutes(5), doing: "sending STARTTLS" },
  handshake: { timeout: minutes(1), doing: "making the TLS handshake" },
  auth: { timeout: minutes(5), doing: "logging in" },
  mail: { timeout: minutes(5), doing: "sending MAIL FROM" }, // 4.5.3.2.2
  rcpt: { timeout: minutes(5), doing: "sending RCPT TO" }, // 4.5.3.2.3
  data: { timeout: minutes(2), doing: "sending DATA" }, // 4.5.3.2.4
  content: { timeout: minutes(3), doing: "sending the content" }, // 4.5.3.2.5
  "sent-dot": { timeout: minutes(10), doing: "waiting for the reply to the end of content" }, // 4.5.3.2.6
  rset: { timeout: minutes(5), doing: "sending RSET" },
  quit: { timeout: minutes(0.5), doing: "sending QUIT" },
  command: { timeout: minutes(5), doing: "sending a command" },
  idle: { timeout: minutes(5), doing: "keeping the connection open" },
} as const satisfies Readonly<Record<string, ClientStateFacts>>;

export type ClientState = keyof typeof clientStates;
