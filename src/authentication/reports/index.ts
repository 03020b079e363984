/** DMARC reports (RFC 9990, RFC 9991), ARF (RFC 5965): counted, written and read; sending them is for others. */
export { AggregateCollector, aggregateReport, type CountedMessage, type CountedPolicy } from "./collector.ts";
export { type Destination, mailtoMailbox, reportDestinations } from "./destinations.ts";
export {
  type AuthFailure,
  type FailureReport,
  type Feedback,
  failedAlignments,
  failureReport,
  failureReportsAsked,
  parseFeedback,
} from "./failure.ts";
export { type ParsedReport, parseAggregateReport } from "./parse.ts";
export {
  type AggregateRecord,
  type AggregateReport,
  type PublishedPolicy,
  type ReportedDkim,
  type ReportedSpf,
  reportFileName,
  reportSubject,
} from "./report.ts";
export { aggregateXml } from "./write.ts";
