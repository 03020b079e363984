/** OpenSSL's and Node's words for the mistakes that everybody makes, in words that say what to do. */
export function explainTls(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  if (/wrong version number|packet length too long|unknown protocol|record layer failure/i.test(text)) {
    return "TLS handshake failed: this port speaks STARTTLS (clear text first), not TLS from the first byte";
  }
  return `TLS handshake failed: ${text.replace(/; if the root CA is installed locally, try running Node\.js with --use-system-ca/, "")}`;
}
