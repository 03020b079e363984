/** The certificate of servers in tests: self-signed, for this machine's own names. */
import { type SelfSigned, selfSignedCertificate } from "../net/certificate.ts";

/** What it is good for. */
export const TEST_NAMES: readonly string[] = ["localhost", "127.0.0.1", "::1"];

let made: SelfSigned | undefined;

/** One for all servers of a process, since a key takes milliseconds; names of your own get one of their own. Throws a RangeError for a name that is none. */
export function testCertificate(names: readonly string[] = TEST_NAMES): SelfSigned {
  if (names !== TEST_NAMES) return selfSignedCertificate({ names });
  made ??= selfSignedCertificate({ names: TEST_NAMES });
  return made;
}
