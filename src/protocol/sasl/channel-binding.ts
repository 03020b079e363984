/** What names one TLS session to both of its ends, so that a login cannot be passed on through another (RFC 5056). */

import type { TlsBindings } from "../../util/byte-stream.ts";

export type ChannelBindingType = "tls-exporter" | "tls-server-end-point";

/** Those that the TLS session has. */
export type ChannelBindings = TlsBindings;

export interface ChannelBinding {
  readonly type: ChannelBindingType;
  readonly data: Uint8Array;
}

/** The one that binds most: to the session rather than to its certificate. */
export function strongestBinding(bindings: ChannelBindings | undefined): ChannelBinding | undefined {
  for (const type of ["tls-exporter", "tls-server-end-point"] as const) {
    const data = bindings?.[type];
    if (data !== undefined) return { type, data };
  }
  return undefined;
}
