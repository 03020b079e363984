/** DKIM keys as files, and the steps by which new keys take the place of old ones. */
export { domainsIn, type KeyFile, KeyFolder, readKeyFile, tooOpen } from "./key-folder.ts";
export { KeysError, type KeysFault } from "./keys-error.ts";
export {
  begin,
  type InDns,
  KEEP,
  type Known,
  NO_ROTATION,
  nextStep,
  type Rotation,
  type RotationStep,
  selectorsToAsk,
  withSigning,
} from "./rotation.ts";
