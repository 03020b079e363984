/**
 * `postrider/dkim`: signing messages, verifying them, and the keys for it.
 *
 * Rules
 * 1. What is named here is kept stable for others.
 * 2. Verifying asks DNS through what it is given: `createResolver()` is the system's, an object with `txt(name)` serves as well.
 */
import { signedContent } from "./authentication/dkim-sign.ts";
import type { Content } from "./mail/content.ts";
import type { DkimSigner, SigningOptions } from "./message/dkim/index.ts";

export {
  type DkimResult,
  type DkimVerification,
  SignatureCheck,
  type SignatureOptions,
  type SignatureVerification,
  verifySignatures,
} from "./authentication/dkim.ts";
export { signContent, signedContent } from "./authentication/dkim-sign.ts";
export { arcSteps, dkimSteps } from "./authentication/dkim-steps.ts";
export type { Step } from "./authentication/step.ts";
export { type Content, memoryContent } from "./mail/content.ts";
export * from "./message/dkim/index.ts";
export { createResolver, type Resolver, type ResolverOptions } from "./net/resolver.ts";

/**
 * A transport's `sign`: every message goes out with the signatures of this signer in front, or not at all.
 *
 *     createTransport(url, { sign: signWith(new DkimSigner({ keys: [new DkimKey({ domain, selector, privateKey })] })) })
 */
export function signWith(signer: DkimSigner, options: Pick<SigningOptions, "mayBeConverted"> = {}): (content: Content) => Promise<Content> {
  return (content) => signedContent(signer, content, { ...options, now: Date.now() });
}
