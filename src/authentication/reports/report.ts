/**
 * A DMARC aggregate report as a value (RFC 9990): what one receiver saw of one policy domain in one period.
 *
 * Rules
 * 1. Times are in seconds since 1970 UTC, as the format has them.
 * 2. Reports of others hold what they like: where the format lists words, texts are kept as they came.
 */

export interface AggregateReport {
  /** Who reports. */
  readonly organization: string;
  readonly email: string;
  readonly contact?: string;
  /** Letters, digits, dots and hyphens; unique among reports to the same domain (RFC 9990, Report-ID). */
  readonly id: string;
  readonly begin: number;
  readonly end: number;
  /** What is wrong with the record. */
  readonly errors: readonly string[];
  readonly generator?: string;
  readonly policy: PublishedPolicy;
  readonly records: readonly AggregateRecord[];
}

export interface PublishedPolicy {
  /** Where the record stands. */
  readonly domain: string;
  /** `treewalk` (RFC 9989) or `psl` (RFC 7489). */
  readonly method?: string;
  readonly p: string;
  readonly sp?: string;
  readonly np?: string;
  readonly fo?: string;
  readonly adkim?: string;
  readonly aspf?: string;
  /** `y` or `n`. */
  readonly testing?: string;
}

export interface AggregateRecord {
  readonly sourceIp: string;
  readonly count: number;
  /** `none`, `pass`, `quarantine`, `reject`. */
  readonly disposition: string;
  /** Whether DKIM passed in alignment: `pass` or `fail`. */
  readonly dkim: string;
  readonly spf: string;
  readonly reasons: readonly { readonly type: string; readonly comment?: string }[];
  readonly headerFrom: string;
  /** "" for the null reverse-path. */
  readonly envelopeFrom?: string;
  readonly envelopeTo?: string;
  readonly dkimResults: readonly ReportedDkim[];
  readonly spfResult?: ReportedSpf;
}

export interface ReportedDkim {
  readonly domain: string;
  readonly selector: string;
  readonly result: string;
  readonly human?: string;
}

export interface ReportedSpf {
  readonly domain: string;
  readonly result: string;
  readonly human?: string;
}

/** RFC 9990: the name of the file, `receiver!policy-domain!begin!end!id.xml.gz`. */
export function reportFileName(report: AggregateReport, receiver: string, extension: "xml" | "xml.gz" = "xml.gz"): string {
  const id = report.id.replace(/[^A-Za-z0-9]/g, "");
  const parts = [receiver, report.policy.domain, report.begin, report.end, ...(id === "" ? [] : [id])];
  return `${parts.map((part) => String(part).replace(/[^A-Za-z0-9._-]/g, "_")).join("!")}.${extension}`;
}

/** RFC 9990: the subject of the mail that brings it. */
export function reportSubject(report: AggregateReport, receiver: string): string {
  return `Report Domain: ${report.policy.domain} Submitter: ${receiver} Report-ID: <${report.id}@${receiver}>`;
}
