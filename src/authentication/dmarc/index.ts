/** DMARC (RFC 9989): the author, the record, the walk and the check. */
export { AUTHOR_LIMIT, type Author, authorOf, authorOfFields } from "./author.ts";
export {
  type Alignment,
  checkDmarc,
  type DkimIdentifier,
  type DmarcQuestion,
  type DmarcResult,
  type DmarcVerdict,
  IDENTIFIER_LIMIT,
  type SpfIdentifier,
} from "./check.ts";
export { type DmarcRecord, type DmarcRequest, type FailureOption, isDmarcRecord, parseDmarcRecord, URI_LIMIT } from "./record.ts";
export { QUERY_LIMIT, TreeWalks, type Walk, walkNames } from "./tree-walk.ts";
