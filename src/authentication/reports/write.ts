/**
 * Writes aggregate reports as XML (RFC 9990, appendix A).
 *
 * Rules
 * 1. Elements stand in the order of the schema; those that are absent are left out.
 * 2. Every text is escaped; what XML cannot carry (controls, half a surrogate pair) becomes "?" or U+FFFD.
 * 3. Texts for people are cut at HUMAN_LIMIT. Compression is the caller's.
 */
import { utf8 } from "../../util/bytes.ts";
import type { AggregateRecord, AggregateReport, PublishedPolicy } from "./report.ts";

/** Characters of a comment, an error or a reason. */
export const HUMAN_LIMIT = 500;
/** RFC 9990: signatures of one record. */
export const SIGNATURE_LIMIT = 100;

/** The file, uncompressed. */
export function aggregateXml(report: AggregateReport): Uint8Array {
  const xml = new Xml();
  xml.open("feedback", 'xmlns="urn:ietf:params:xml:ns:dmarc-2.0"');
  xml.text("version", "1.0");
  xml.open("report_metadata");
  xml.text("org_name", report.organization);
  xml.text("email", report.email);
  xml.text("extra_contact_info", report.contact);
  xml.text("report_id", report.id);
  xml.open("date_range");
  xml.text("begin", String(report.begin));
  xml.text("end", String(report.end));
  xml.close();
  if (report.errors.length > 0) xml.text("error", human(report.errors.join("; ")));
  xml.text("generator", report.generator);
  xml.close();
  writePolicy(xml, report.policy);
  for (const record of report.records) writeRecord(xml, record);
  xml.close();
  return utf8(xml.result());
}

function writePolicy(xml: Xml, policy: PublishedPolicy): void {
  xml.open("policy_published");
  xml.text("domain", policy.domain);
  xml.text("discovery_method", policy.method);
  xml.text("p", policy.p);
  xml.text("sp", policy.sp);
  xml.text("np", policy.np);
  xml.text("fo", policy.fo);
  xml.text("adkim", policy.adkim);
  xml.text("aspf", policy.aspf);
  xml.text("testing", policy.testing);
  xml.close();
}

function writeRecord(xml: Xml, record: AggregateRecord): void {
  xml.open("record");
  xml.open("row");
  xml.text("source_ip", record.sourceIp);
  xml.text("count", String(record.count));
  xml.open("policy_evaluated");
  xml.text("disposition", record.disposition);
  xml.text("dkim", record.dkim);
  xml.text("spf", record.spf);
  for (const { type, comment } of record.reasons) {
    xml.open("reason");
    xml.text("type", type);
    xml.text("comment", human(comment));
    xml.close();
  }
  xml.close();
  xml.close();
  xml.open("identifiers");
  xml.text("header_from", record.headerFrom);
  xml.text("envelope_from", record.envelopeFrom);
  xml.text("envelope_to", record.envelopeTo);
  xml.close();
  xml.open("auth_results");
  for (const signature of record.dkimResults.slice(0, SIGNATURE_LIMIT)) {
    xml.open("dkim");
    xml.text("domain", signature.domain);
    xml.text("selector", signature.selector);
    xml.text("result", signature.result);
    xml.text("human_result", human(signature.human));
    xml.close();
  }
  if (record.spfResult !== undefined) {
    xml.open("spf");
    xml.text("domain", record.spfResult.domain);
    xml.text("scope", "mfrom");
    xml.text("result", record.spfResult.result);
    xml.text("human_result", human(record.spfResult.human));
    xml.close();
  }
  xml.close();
  xml.close();
}

function human(text: string | undefined): string | undefined {
  return text === undefined || text.length <= HUMAN_LIMIT ? text : `${text.slice(0, HUMAN_LIMIT)}…`;
}

class Xml {
  readonly #parts: string[] = ['<?xml version="1.0" encoding="UTF-8"?>\n'];
  readonly #open: string[] = [];

  open(name: string, attributes = ""): void {
    this.#parts.push("  ".repeat(this.#open.length), "<", name, attributes === "" ? "" : ` ${attributes}`, ">\n");
    this.#open.push(name);
  }

  close(): void {
    const name = this.#open.pop() ?? "";
    this.#parts.push("  ".repeat(this.#open.length), "</", name, ">\n");
  }

  text(name: string, text: string | undefined): void {
    if (text === undefined) return;
    this.#parts.push("  ".repeat(this.#open.length), "<", name, ">", escapeXml(text), "</", name, ">\n");
  }

  result(): string {
    return this.#parts.join("");
  }
}

const escapes: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&apos;" };

function escapeXml(text: string): string {
  // XML 1.0 2.2 knows no other controls; CR is written out, or a reader would make LF of it (2.11).
  const clean = text.toWellFormed().replace(/[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufffe\uffff]/g, "?");
  return clean.replace(/[&<>"']/g, (c) => escapes[c] as string).replaceAll("\r", "&#13;");
}
