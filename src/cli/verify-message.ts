/**
 * The checks that `postrider verify` runs on one message, as a receiver on port 25 would, and what came of them.
 *
 * Rules
 * 1. What was not given is not guessed: a check that needs it is left out, and says so.
 * 2. A message whose lines all end with a bare LF (Maildir, most editors) is read with CRLF, as it went over the wire, and that is told.
 */
import { type DkimVerification, SignatureCheck, type SignatureVerification } from "../authentication/dkim.ts";
import {
  type Author,
  arcFinding,
  authorOf,
  type CheckDns,
  checkDmarc,
  checkIprev,
  checkSpf,
  type DmarcResult,
  defaultAuthenticationSettings,
  dkimIdentifiers,
  type IprevResult,
  type SpfResult,
  type Verdict,
  verdict,
} from "../authentication/index.ts";
import type { ReversePath } from "../mail/envelope.ts";
import type { ArcResult } from "../message/dkim/arc-verify.ts";
import { fieldText } from "../message/header-section.ts";

export interface VerifyQuestion {
  readonly content: AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
  /** The peer's address. */
  readonly ip: string | undefined;
  readonly helo: string | undefined;
  /** `undefined`: not given, which is not the null reverse-path. */
  readonly mailFrom: ReversePath | undefined;
  /** Milliseconds since 1970 UTC. */
  readonly now: number;
}

/** A result, or why the check was left out. */
export type Looked<T> = { readonly kind: "done"; readonly value: T } | { readonly kind: "left-out"; readonly why: string };

/** Whether something proves that the author is who From shows. `unknown`: DNS did not answer. */
export type Proof = "proven" | "not-proven" | "unknown";

export interface MessageReport {
  /** Octets, as read. */
  readonly size: number;
  /** Bare LFs became CRLF. */
  readonly mended: boolean;
  readonly from: readonly string[];
  readonly subject: string | undefined;
  readonly author: Author;
  readonly spf: Looked<SpfResult>;
  readonly iprev: Looked<IprevResult>;
  readonly dkim: DkimVerification;
  readonly arc: ArcResult;
  readonly dmarc: DmarcResult;
  /** What our own defaults would do with it on port 25. */
  readonly receiver: Verdict;
  readonly proof: Proof;
}

export async function verifyMessage(question: VerifyQuestion, dns: CheckDns): Promise<MessageReport> {
  const check = new SignatureCheck({ dns, now: question.now });
  let size = 0;
  const lines = new LineEnds();
  for await (const chunk of question.content) {
    size += chunk.length;
    check.push(lines.read(chunk));
  }
  const signatures = await check.finish();
  const { message, dkim, arc } = signatures;
  const { section } = message;
  const [spf, iprev] = await Promise.all([spfOf(question, section.all("return-path").map(fieldText)[0], dns), iprevOf(question, dns)]);
  const author = authorOf(section);
  const dmarc = await checkDmarc({ author, spf: spf.kind === "done" ? spf.value : undefined, dkim: dkimIdentifiers(dkim.results) }, dns);
  return {
    size,
    mended: lines.mended,
    from: section.all("from").map(fieldText),
    subject: section.all("subject").map(fieldText)[0],
    author,
    spf,
    iprev,
    dkim,
    arc,
    dmarc,
    receiver: receiverOf(signatures, spf, iprev, dmarc),
    proof: proofOf(dmarc, spf, dkim),
  };
}

async function spfOf({ ip, helo, mailFrom }: VerifyQuestion, returnPath: string | undefined, dns: CheckDns): Promise<Looked<SpfResult>> {
  if (ip === undefined) return { kind: "left-out", why: "it needs the address that the message came from (--ip)" };
  if (mailFrom === undefined) {
    const said = returnPath === undefined ? "" : `; Return-Path says ${returnPath}`;
    return { kind: "left-out", why: `it needs MAIL FROM (--from; <> is the null reverse-path${said})` };
  }
  return { kind: "done", value: await checkSpf({ ip, helo: helo ?? "unknown", mailFrom }, dns) };
}

async function iprevOf({ ip }: VerifyQuestion, dns: CheckDns): Promise<Looked<IprevResult>> {
  if (ip === undefined) return { kind: "left-out", why: "it needs the address that the message came from (--ip)" };
  return { kind: "done", value: await checkIprev(ip, dns) };
}

function receiverOf(
  { message, dkim, arc }: SignatureVerification,
  spf: Looked<SpfResult>,
  iprev: Looked<IprevResult>,
  dmarc: DmarcResult,
): Verdict {
  return verdict(
    {
      spf: { kind: "done", value: spf.kind === "done" ? spf.value : notChecked },
      dkim: { kind: "done", value: dkim.results.map((result) => ({ result: result.verdict, domain: result.domain })) },
      arc: { kind: "done", value: arcFinding(arc, message.arc) },
      dmarc: { kind: "done", value: dmarc },
      ...(iprev.kind === "done" ? { iprev } : {}),
      list: message.section.all("list-id").length > 0 || message.section.all("list-post").length > 0,
      listed: undefined,
    },
    defaultAuthenticationSettings,
  );
}

const notChecked: SpfResult = {
  result: "none",
  identity: "mailfrom",
  domain: "",
  sender: "",
  mechanism: undefined,
  at: undefined,
  explanation: undefined,
  why: "SPF was left out",
  steps: [],
};

/** DMARC's word; without a policy that can be used, whether anything that passed bears the author's own domain. */
function proofOf(dmarc: DmarcResult, spf: Looked<SpfResult>, dkim: DkimVerification): Proof {
  if (dmarc.result === "pass") return "proven";
  if (dmarc.result === "fail") return "not-proven";
  if (dmarc.result === "temperror") return "unknown";
  const { author } = dmarc;
  if (author === undefined) return "not-proven";
  const found = [
    ...(spf.kind === "done" ? [{ result: spf.value.result as string, domain: spf.value.domain }] : []),
    ...dkim.results.map(({ verdict: result, domain }) => ({ result: result as string, domain: domain?.toLowerCase() })),
  ].filter(({ domain }) => domain === author);
  if (found.some(({ result }) => result === "pass")) return "proven";
  return found.some(({ result }) => result === "temperror") ? "unknown" : "not-proven";
}

/** Makes CRLF of LF, where the first line ends with a bare LF. */
class LineEnds {
  mended = false;
  #known = false;
  #afterCr = false;

  read(chunk: Uint8Array): Uint8Array {
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length);
    if (!this.#known) {
      const end = bytes.indexOf(10);
      if (end !== -1) {
        this.#known = true;
        this.mended = end === 0 ? !this.#afterCr : bytes[end - 1] !== 13;
      }
    }
    const text = this.mended ? bytes.toString("latin1") : "";
    const starts = this.#afterCr && text.startsWith("\n") ? 1 : 0;
    this.#afterCr = bytes.at(-1) === 13;
    if (!this.mended) return chunk;
    return Buffer.from(text.slice(0, starts) + text.slice(starts).replace(/(?<!\r)\n/g, "\r\n"), "latin1");
  }
}
