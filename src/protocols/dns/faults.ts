// Every way in which a peer can break DNS: what it is called, the response code that answers it, and the clause it breaks.
import { faultTable } from '../../core/fault.ts';

export const faults = faultTable('dns', {
  short: { wire: 1, spec: 'RFC 1035 §4.1.1', text: 'a message has at least twelve octets' },
  truncatedMessage: { wire: 1, spec: 'RFC 1035 §4.1', text: 'the message ends within a question or a record' },
  badName: { wire: 1, spec: 'RFC 1035 §4.1.4', text: 'a name is too long, or a pointer leads nowhere or forwards' },
  badRdata: { wire: 1, spec: 'RFC 1035 §4.1.3', text: 'the data of a record is not data of its type' },
  questionsTooMany: { wire: 1, spec: 'RFC 9619 §4', text: 'a query has one question' },
  badOpt: {
    wire: 1,
    spec: 'RFC 6891 §6.1.1',
    text: 'there is one OPT at most, owned by the root, among the additional',
  },
  badOption: { wire: 1, spec: 'RFC 6891 §6.1.2', text: 'an option is longer than its OPT, or of a wrong length' },
  badTsig: { wire: 1, spec: 'RFC 8945 §5.1', text: 'TSIG is the last record of a message, of class ANY' },
  badCookie: { wire: 1, spec: 'RFC 7873 §5.2.2', text: 'a cookie has 8, or 16 to 40 octets' },
  recordsTooMany: { wire: 1, spec: 'docs/dns.md §Limits', text: 'the message has too many records' },
  trailing: { wire: 1, spec: 'RFC 1035 §4.1', text: 'there are octets behind the last record' },
  unexpectedAnswer: { wire: 0, spec: 'RFC 1035 §4.1.1', text: 'an answer came where queries are taken' },
  idle: { wire: 0, spec: 'RFC 7766 §6.2.3', text: 'the connection was idle for too long' },
  queryTooSlow: { wire: 0, spec: 'RFC 7766 §10', text: 'a query did not come whole in time' },
  tooLong: { wire: 0, spec: 'RFC 7766 §8', text: 'a query is longer than this server takes' },
  // Over QUIC each is DOQ_PROTOCOL_ERROR.
  oneWay: { wire: 2, spec: 'RFC 9250 §4.2', text: 'a stream of one way came, on which nothing can be answered' },
  notWhole: { wire: 2, spec: 'RFC 9250 §4.2', text: 'a stream ended before its query was whole' },
  queryTooLong: { wire: 2, spec: 'RFC 7766 §8', text: 'a query is longer than this server takes' },
  moreThanQuery: { wire: 2, spec: 'RFC 9250 §4.2', text: 'a stream has one query and nothing behind it' },
  idNotZero: { wire: 2, spec: 'RFC 9250 §4.2.1', text: 'over QUIC a message has the id 0' },
  keepalive: { wire: 2, spec: 'RFC 9250 §5.5.2', text: 'a query over QUIC has no keepalive option' },
});
