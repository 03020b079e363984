/**
 * An SMTP reply: code, enhanced status and text (RFC 5321 4.2, RFC 2034).
 *
 * Rules
 * 1. `text` is what the peer reads; it holds no CR, LF or other control, and "\n" alone parts its lines.
 * 2. The enhanced status stands apart from the text; it is written again on every line.
 */
import { type EnhancedStatus, isEnhancedStatus } from "./status.ts";

export interface Reply {
  /** 200 to 599. */
  readonly code: number;
  /** Absent on replies that carry none: the greeting, EHLO, 354, 334 (RFC 2034 4). */
  readonly status?: EnhancedStatus;
  readonly text: string;
}

export function reply(code: number, text: string): Reply;
export function reply(code: number, status: EnhancedStatus, text: string): Reply;
export function reply(code: number, second: string, text?: string): Reply {
  return text === undefined ? { code, text: second } : { code, status: second as EnhancedStatus, text };
}

export const isPositive = (r: Reply): boolean => r.code >= 200 && r.code < 300;
export const isTemporary = (r: Reply): boolean => r.code >= 400 && r.code < 500;
export const isPermanent = (r: Reply): boolean => r.code >= 500;

/** The reply as it goes over the wire, CRLF included. */
export function formatReply(r: Reply): string {
  const prefix = r.status === undefined ? "" : `${r.status} `;
  if (!r.text.includes("\n")) return `${r.code} ${prefix}${clean(r.text)}\r\n`;
  const lines = r.text.split("\n");
  const last = lines.length - 1;
  return lines.map((line, i) => `${r.code}${i === last ? " " : "-"}${prefix}${clean(line)}\r\n`).join("");
}

/** One line for logs and reports: `550 5.1.1 No such user`. */
export function describeReply(r: Reply): string {
  return `${r.code} ${r.status === undefined ? "" : `${r.status} `}${r.text.replaceAll("\n", " ")}`.trimEnd();
}

/** The reply that these text lines (without code) make up; an enhanced status is taken off where it fits the code's class. */
export function replyFromLines(code: number, lines: readonly string[]): Reply {
  let status: EnhancedStatus | undefined;
  const texts = lines.map((line) => {
    const [, word, rest] = /^(\d\.\d{1,3}\.\d{1,3})(?: (.*))?$/s.exec(line) ?? [];
    if (word === undefined || !isEnhancedStatus(word) || word[0] !== String(code)[0]) return line;
    status ??= word;
    return rest ?? "";
  });
  return status === undefined ? { code, text: lines.join("\n") } : { code, status, text: texts.join("\n") };
}

function clean(text: string): string {
  return text.replace(/[\x00-\x1f\x7f]/g, " ");
}
