/** Addresses in Nodemailer's shapes as a draft takes them: arrays made flat, groups taken apart. */
import type { AddressInput } from "../message/draft.ts";
import { NodemailerError } from "./errors.ts";
import type { Address, AddressLike } from "./mail-options.ts";

/** Arrays within arrays, and groups within groups. */
export const NESTING_LIMIT = 10;

/** Every address; empty texts and objects without an address count as none. Throws a NodemailerError for what is no address. */
export function addressInputs(given: AddressLike | false | null | undefined): AddressInput[] {
  const inputs: AddressInput[] = [];
  collect(given, inputs, 0);
  return inputs;
}

function collect(given: AddressLike | Address | false | null | undefined, inputs: AddressInput[], depth: number): void {
  if (given === undefined || given === null || given === false || given === "") return;
  if (depth > NESTING_LIMIT)
    throw new NodemailerError("EENVELOPE", `addresses are nested deeper than ${NESTING_LIMIT}`, { command: "API" });
  if (typeof given === "string") {
    if (given.trim() !== "") inputs.push(given);
    return;
  }
  if (Array.isArray(given)) {
    for (const one of given as readonly AddressLike[]) collect(one, inputs, depth + 1);
    return;
  }
  if (typeof given !== "object") throw new NodemailerError("EENVELOPE", `${JSON.stringify(given)} is not an address`, { command: "API" });
  const { name, address, group } = given as Address;
  if (group !== undefined) for (const one of group) collect(one, inputs, depth + 1);
  else if (address !== undefined && address !== "") inputs.push(name === undefined || name === "" ? { address } : { name, address });
}
