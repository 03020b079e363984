/**
 * Reads aggregate reports of others: RFC 9990's, and those of RFC 7489, which most still send.
 *
 * Rules
 * 1. A report without a domain or without a record is none; anything else that is missing is left open.
 * 2. Values are texts of strangers: at most TEXT_LIMIT characters of each are kept, without controls, and nothing is decided by them.
 * 3. The document must be whole and unpacked; who unpacks it bounds its size.
 */
import type { AggregateRecord, AggregateReport, PublishedPolicy } from "./report.ts";
import { child, childText, parseXml, type XmlElement, XmlError } from "./xml.ts";

/** Characters kept of a text. */
export const TEXT_LIMIT = 1000;

export type ParsedReport = { readonly ok: true; readonly report: AggregateReport } | { readonly ok: false; readonly error: string };

export function parseAggregateReport(document: string): ParsedReport {
  let root: XmlElement;
  try {
    root = parseXml(document);
  } catch (error) {
    if (error instanceof XmlError) return { ok: false, error: error.message };
    throw error;
  }
  if (root.name !== "feedback") return { ok: false, error: `the document is a <${root.name.slice(0, 40)}>, not a <feedback>` };
  const metadata = child(root, "report_metadata");
  const policy = readPolicy(child(root, "policy_published"));
  if (policy === undefined) return { ok: false, error: "there is no policy_published with a domain" };
  const records = root.children.filter(({ name }) => name === "record").map(readRecord);
  if (records.length === 0) return { ok: false, error: "there is no record" };
  const range = child(metadata, "date_range");
  const errors = metadata?.children.filter(({ name }) => name === "error").map(({ text }) => tidy(text)) ?? [];
  return {
    ok: true,
    report: {
      organization: read(metadata, "org_name") ?? "",
      email: read(metadata, "email") ?? "",
      ...optional("contact", read(metadata, "extra_contact_info")),
      id: read(metadata, "report_id") ?? "",
      begin: count(childText(range, "begin")),
      end: count(childText(range, "end")),
      errors,
      ...optional("generator", read(metadata, "generator")),
      policy,
      records,
    },
  };
}

function readPolicy(element: XmlElement | undefined): PublishedPolicy | undefined {
  const domain = read(element, "domain");
  if (domain === undefined || domain === "") return undefined;
  return {
    domain,
    ...optional("method", read(element, "discovery_method")),
    p: read(element, "p") ?? "none",
    ...optional("sp", read(element, "sp")),
    ...optional("np", read(element, "np")),
    ...optional("fo", read(element, "fo")),
    ...optional("adkim", read(element, "adkim")),
    ...optional("aspf", read(element, "aspf")),
    ...optional("testing", read(element, "testing")),
  };
}

function readRecord(element: XmlElement): AggregateRecord {
  const row = child(element, "row");
  const evaluated = child(row, "policy_evaluated");
  const identifiers = child(element, "identifiers");
  const results = child(element, "auth_results");
  const reasons = evaluated?.children.filter(({ name }) => name === "reason") ?? [];
  const signatures = results?.children.filter(({ name }) => name === "dkim") ?? [];
  const spf = child(results, "spf");
  return {
    sourceIp: read(row, "source_ip") ?? "",
    count: count(childText(row, "count")),
    disposition: read(evaluated, "disposition") ?? "none",
    dkim: read(evaluated, "dkim") ?? "",
    spf: read(evaluated, "spf") ?? "",
    reasons: reasons.map((reason) => ({ type: read(reason, "type") ?? "other", ...optional("comment", read(reason, "comment")) })),
    headerFrom: read(identifiers, "header_from") ?? "",
    ...optional("envelopeFrom", read(identifiers, "envelope_from")),
    ...optional("envelopeTo", read(identifiers, "envelope_to")),
    dkimResults: signatures.map((signature) => ({
      domain: read(signature, "domain") ?? "",
      selector: read(signature, "selector") ?? "",
      result: read(signature, "result") ?? "",
      ...optional("human", read(signature, "human_result")),
    })),
    ...(spf !== undefined && {
      spfResult: { domain: read(spf, "domain") ?? "", result: read(spf, "result") ?? "", ...optional("human", read(spf, "human_result")) },
    }),
  };
}

function read(element: XmlElement | undefined, name: string): string | undefined {
  const text = childText(element, name);
  return text === undefined ? undefined : tidy(text);
}

function tidy(text: string): string {
  return text
    .slice(0, TEXT_LIMIT)
    .replace(/[\x00-\x1f\x7f-\x9f\u2028\u2029]/g, " ")
    .trim();
}

function optional<K extends string>(key: K, value: string | undefined): { readonly [P in K]?: string } {
  return (value === undefined ? {} : { [key]: value }) as { readonly [P in K]?: string };
}

/** A number of messages or seconds; 0 where it is none. */
function count(text: string | undefined): number {
  return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : 0;
}
