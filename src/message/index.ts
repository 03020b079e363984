/**
 * `postrider/message`: messages as RFC 5322 and MIME have them, without a socket, a file or a clock.
 *
 * Rules
 * 1. What is named here is kept stable for others; what is not is the package's own.
 */
export { type AddressList, type NamedMailbox, parseAddressList } from "./address.ts";
export {
  type AddressInput,
  type AddressInputs,
  type Attachment,
  type Composed,
  ComposeError,
  type ComposeOptions,
  compose,
  type Draft,
} from "./compose.ts";
export { type ConversionOptions, type Converted, Converter, convertContent } from "./conversion.ts";
export type { Unconvertible } from "./conversion-plan.ts";
export { DIAGNOSTIC_LIMIT, type ReportedRecipient } from "./delivery-status.ts";
export { envelopeFromHeaders, type HeaderEnvelope } from "./envelope.ts";
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
