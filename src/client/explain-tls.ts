/** OpenSSL's and Node's words for the mistakes that everybody makes, in words that say what to do. */
export function explainTls(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  if (/wrong version number|packet length too long|unknown protocol|record layer failure/i.test(text)) {
    return "TLS handshake failed: this port speaks STARTTLS (clear text first), not TLS from the first byte";
  }
  return `TLS handshake failed: ${said(text)}`;
}

/** Without OpenSSL's numbers, functions and files around its reason, and without advice on Node's options. */
function said(text: string): string {
  const [, reason] = /^[0-9A-F]+:error:[0-9A-F]*:[^:]*:[^:]*:([^:]+):/.exec(text) ?? [];
  return reason ?? text.replace(/; if the root CA is installed locally, try running Node\.js with --use-system-ca/, "").trim();
}
