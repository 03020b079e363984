/**
 * `postrider/message`: messages as RFC 5322 and MIME have them, without a socket, a file or a clock.
 *
 * Rules
 * 1. What is named here is kept stable for others; what is not is the package's own.
 */
export { type AddressList, type NamedMailbox, parseAddressList } from "./address.ts";
export { type Composed, type ComposeOptions, compose, type DraftFacts } from "./compose.ts";
export { ComposeError } from "./compose-error.ts";
export { type ConversionOptions, type Converted, Converter, convertContent } from "./conversion.ts";
export type { Unconvertible } from "./conversion-plan.ts";
export { type DataUri, decodeDataUri } from "./data-uri.ts";
export { decodeWords } from "./decode-words.ts";
export { DIAGNOSTIC_LIMIT, type ReportedRecipient } from "./delivery-status.ts";
export type {
  Accepted,
  AddressInput,
  AddressInputs,
  Alternative,
  Attachment,
  BlobSource,
  CalendarEvent,
  Chunks,
  Draft,
  EnvelopeInput,
  HeaderInputs,
  HeaderValue,
  ListFields,
  ListUrl,
  RawDraft,
  ReadableSource,
  ReplayableSource,
  Source,
  StringEncoding,
  TransferEncoding,
} from "./draft.ts";
export { type DraftContent, readDraftContent, type StreamedContent, sizedContent } from "./draft-content.ts";
export { envelopeFromHeaders, type HeaderEnvelope, recipientsFromHeaders, senderFromHeaders } from "./envelope.ts";
export { ContentScanner, contentFacts } from "./facts.ts";
export {
  fieldText,
  HEADER_SECTION_LIMIT,
  type HeaderEnding,
  type HeaderField,
  HeaderReader,
  HeaderSection,
  readHeaderSection,
} from "./header-section.ts";
export { extensionOf, mediaTypeOfFile } from "./media-type.ts";
export { type DeliveryReport, deliveryReport, type MadeReport, RETURNED_LIMIT } from "./report.ts";
export { fixSubmission, messageIdText, type SubmissionOptions } from "./submission.ts";
export {
  formatDate,
  type ProtocolFacts,
  type ReceivedOptions,
  type ReceivedPeer,
  receivedField,
  returnPathField,
  withProtocol,
} from "./trace.ts";
