/**
 * Signs a whole content, in memory or stored, on the way out.
 *
 * Rules
 * 1. Stored content is read once, chunk by chunk; memory stays constant.
 * 2. An error means that nothing was signed and nothing may be sent: the caller decides what becomes of the message.
 */
import { type Content, readContent } from "../mail/content.ts";
import type { DkimSigner, SigningOptions } from "../message/dkim/signer.ts";

/** The DKIM-Signature fields, to be put in front of the content. Rejects with a `DkimContentError`, or with what reading it rejects. */
export async function signContent(signer: DkimSigner, content: Content, options: SigningOptions): Promise<Uint8Array> {
  if (content.kind === "memory") return signer.sign(content.chunks, options);
  const signing = signer.start(options);
  for await (const chunk of readContent(content)) signing.push(chunk);
  return signing.finish();
}
