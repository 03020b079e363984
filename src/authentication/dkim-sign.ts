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

/** The content with its signatures in front; what is stored stays so, and is read once to be signed and again when it is sent. Rejects as `signContent`. */
export async function signedContent(signer: DkimSigner, content: Content, options: SigningOptions): Promise<Content> {
  const fields = await signContent(signer, content, options);
  const size = fields.length + content.size;
  if (content.kind === "memory") return { kind: "memory", chunks: [fields, ...content.chunks], size };
  return {
    kind: "stored",
    size,
    async *open() {
      yield fields;
      yield* readContent(content);
    },
  };
}
