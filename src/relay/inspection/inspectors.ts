/** Which inspection a message gets: what other servers bring is checked, what accounts submit is judged by its From and signed. */
import { isInNetworks, type Network } from "../../authentication/index.ts";
import type { Arrival, Inspection, Inspector } from "../../server/policy.ts";
import { ArrivalCheck, type ArrivalCheckOptions } from "./arrival-check.ts";
import { SubmissionCheck, type SubmissionCheckOptions } from "./submission-check.ts";

export interface InspectorsOptions {
  /** Absent: nothing is checked on 25. */
  readonly arrivals?: ArrivalCheckOptions;
  /** Peers there that are not checked. */
  readonly exempt?: readonly Network[];
  readonly submissions: SubmissionCheckOptions;
}

export function inspectors({ arrivals, exempt = [], submissions }: InspectorsOptions): Inspector {
  return {
    begin(arrival: Arrival): Inspection | undefined {
      if (arrival.peer.account !== undefined) return new SubmissionCheck(arrival, submissions);
      if (arrivals === undefined || isInNetworks(arrival.peer.address, exempt)) return undefined;
      return new ArrivalCheck(arrival, arrivals);
    },
  };
}
