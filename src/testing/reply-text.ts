/** Replies as tests write them: "550 5.1.1 No such user". */
import type { Reply } from "../mail/reply.ts";
import { isEnhancedStatus } from "../mail/status.ts";

/** Throws a TypeError for a text that refuses nothing: a code of 400 to 599 comes first, then perhaps an enhanced one of the same class. */
export function readReply(text: string): Reply {
  const [, code = "", rest = ""] = /^([45]\d\d)(?: (.*))?$/s.exec(text) ?? [];
  if (code === "") throw new TypeError(`a refusal is a reply such as "550 5.1.1 No such user", not ${JSON.stringify(text)}`);
  const [, status = "", words = ""] = /^(\S+)(?: (.*))?$/s.exec(rest) ?? [];
  if (isEnhancedStatus(status) && status[0] === code[0]) return { code: Number(code), status, text: words };
  return { code: Number(code), text: rest };
}
