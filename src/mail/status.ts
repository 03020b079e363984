/** Enhanced status codes, RFC 3463: class.subject.detail, such as "5.1.1". */
export type StatusClass = 2 | 4 | 5;
export type EnhancedStatus = `${StatusClass}.${number}.${number}`;

const pattern = /^[245]\.\d{1,3}\.\d{1,3}$/;

export function isEnhancedStatus(text: string): text is EnhancedStatus {
  return pattern.test(text);
}

export function statusClass(status: EnhancedStatus): StatusClass {
  return Number(status[0]) as StatusClass;
}

/** The same subject and detail in another class: a 4.4.1 that has become too old is a 5.4.1. */
export function inClass(cls: StatusClass, status: EnhancedStatus): EnhancedStatus {
  return `${cls}${status.slice(1)}` as EnhancedStatus;
}
