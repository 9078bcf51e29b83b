// Dates of fields (RFC 9110 §5.6.7): whole seconds since 1970, in UTC. It has no clock.

const DAYS = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'];
const LONG_DAYS = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'];
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

let cachedSecond = Number.NaN;
let cachedText = '';

/** `Sun, 06 Nov 1994 08:49:37 GMT`. @param wall milliseconds since 1970 */
export function dateText(wall: number): string {
  const second = Math.floor(wall / 1_000);
  if (second !== cachedSecond) {
    cachedSecond = second;
    cachedText = new Date(second * 1_000).toUTCString();
  }
  return cachedText;
}

const TIME = '(\\d\\d):(\\d\\d):(\\d\\d)';
const MONTH = `(${MONTHS.join('|')})`;
const IMF = new RegExp(`^(?:${DAYS.join('|')}), (\\d\\d) ${MONTH} (\\d{4}) ${TIME} GMT$`);
const RFC850 = new RegExp(`^(?:${LONG_DAYS.join('|')}), (\\d\\d)-${MONTH}-(\\d\\d) ${TIME} GMT$`);
const ASCTIME = new RegExp(`^(?:${DAYS.join('|')}) ${MONTH} ([ \\d]\\d) ${TIME} (\\d{4})$`);

/**
 * Milliseconds since 1970 of a date in one of the three forms; NaN when it is none. @param wall now: a year of two digits
 * that would be more than fifty years ahead is in the century before
 */
export function parseDate(text: string, wall: number): number {
  let found = IMF.exec(text);
  if (found !== null) return dateOf(Number(found[3]), found[2]!, found[1]!, found, 4);
  found = RFC850.exec(text);
  if (found !== null) {
    const now = new Date(wall).getUTCFullYear();
    let year = now - (now % 100) + Number(found[3]);
    if (year > now + 50) year -= 100;
    return dateOf(year, found[2]!, found[1]!, found, 4);
  }
  found = ASCTIME.exec(text);
  return found === null ? Number.NaN : dateOf(Number(found[6]), found[1]!, found[2]!, found, 3);
}

/** @param timeAt where hour, minute and second are in `found` */
function dateOf(year: number, month: string, day: string, found: RegExpExecArray, timeAt: number): number {
  const hour = Number(found[timeAt]);
  const minute = Number(found[timeAt + 1]);
  const second = Number(found[timeAt + 2]);
  // 60 is a leap second.
  if (hour > 23 || minute > 59 || second > 60) return Number.NaN;
  const date = new Date(0);
  const at = date.setUTCFullYear(year, MONTHS.indexOf(month), Number(day));
  // 31 June would be 1 July.
  if (date.getUTCDate() !== Number(day)) return Number.NaN;
  return at + ((hour * 60 + minute) * 60 + second) * 1_000;
}
