/**
 * DKIM and ARC over messages in memory or in chunks; DNS is asked by the caller. `postrider/dkim` has all of it, and what asks DNS beside it.
 *
 * Rules
 * 1. What is named here is kept stable for others; what is not is the package's own.
 */
export { ARC_SIGNED_NAMES, ArcSealer, type Sealed, type SealOptions } from "./arc-seal.ts";
export { ARC_SET_LIMIT, type ArcChain, type ArcSet, type ChainValidation } from "./arc-set.ts";
export { type ArcResult, type ArcSetResult, type ArcVerdict, judgeArc } from "./arc-verify.ts";
export type { Canonicalization } from "./canonical-body.ts";
export { SIGNED_NAMES, type SigningName } from "./field-selection.ts";
export { DkimKey, DkimKeyError, type DkimKeyFault, type DkimKeyOptions } from "./key.ts";
export { type KeyRecord, keyName, readKeyRecord, type TxtAnswer } from "./key-record.ts";
export {
  compareKeyRecord,
  generateDkimKey,
  type KeyComparison,
  keyRecordText,
  revokedRecordText,
  txtStrings,
  zoneText,
} from "./key-tools.ts";
export type { DkimCrypto, KeyKind } from "./primitives.ts";
export type { MessageSignature, Signature } from "./signature-field.ts";
export { readSignedMessage, SIGNATURE_LIMIT, type SignedMessage, SignedMessageReader } from "./signed-message.ts";
export {
  DkimContentError,
  DkimSigner,
  type DkimSignerOptions,
  DkimSigning,
  type SigningOptions,
  type UnsignableContent,
} from "./signer.ts";
export { type DkimCause, type DkimVerdict, type Judgement, judgeMessageSignature } from "./verify.ts";
