// `portico export`: services in the words of others, so that their tools make clients: .proto, GraphQL, WSDL, OpenAPI, AsyncAPI.
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type Command, Option } from 'commander';
import { ANNOTATIONS, googleFile, protoFiles } from '../formats/schema/proto-files.ts';
import { protoText } from '../formats/schema/proto-text.ts';
import { asyncapiDocument } from '../protocols/openapi/asyncapi.ts';
import { openapiDocument } from '../protocols/openapi/document.ts';
import { soapService } from '../protocols/soap/services.ts';
import { wsdlDocument } from '../protocols/soap/wsdl.ts';
import { ownServices } from '../resources/own-services.ts';
import type { Service } from '../resources/services/contract.ts';
import { addPlaceFlags, type PlaceFlags } from './configured.ts';
import { complain, EXIT, fail } from './output.ts';
import { loadAll, told } from './services.ts';

interface ExportFlags extends PlaceFlags {
  readonly out?: string;
  readonly topics?: boolean;
  readonly files?: boolean;
  readonly url: string;
}

const GOOGLE_API = [ANNOTATIONS, 'google/api/http.proto'];

/** What is written: file names and what they hold. */
type Files = Readonly<Record<string, string>>;

const FORMS: Readonly<Record<string, (services: readonly Service[], url: URL) => Files | Promise<Files>>> = {
  proto: (services) => {
    const files = protoFiles(services);
    // Compilers have google.protobuf; what stands beside it they have not.
    const beside = files.some(({ imports }) => imports.includes(ANNOTATIONS)) ? GOOGLE_API : [];
    return Object.fromEntries(
      [...files, ...beside.flatMap((name) => googleFile(name) ?? [])].map((file) => [
        file.name,
        `${protoText(file).trimEnd()}\n`,
      ]),
    );
  },
  graphql: async (services) => {
    const [{ buildApi }, { printSchema }] = await Promise.all([
      import('../protocols/graphql/schema.ts'),
      import('graphql'),
    ]);
    const { schema, left } = buildApi(services, 0);
    for (const text of left) complain(text);
    return { 'schema.graphql': `${printSchema(schema)}\n` };
  },
  wsdl: (services, url) =>
    Object.fromEntries(
      services.map((service) => [
        `${service.name}.wsdl`,
        `${wsdlDocument(soapService(service), new URL(`/soap/${service.name}`, url).href)}\n`,
      ]),
    ),
  openapi: (services, url) => {
    const document = { ...openapiDocument(services, () => true), servers: [{ url: url.origin }] };
    return { 'openapi.json': json(document) };
  },
  asyncapi: (services, { hostname, host, protocol }) => {
    const isSecure = protocol === 'https:';
    const servers = {
      mqtt: isSecure
        ? ({ host: `${hostname}:8883`, protocol: 'secure-mqtt' } as const)
        : ({ host: `${hostname}:1883`, protocol: 'mqtt' } as const),
      websocket: { host, protocol: isSecure ? 'wss' : 'ws' } as const,
    };
    return { 'asyncapi.json': json(asyncapiDocument(services, () => true, servers)) };
  },
};

function json(document: object): string {
  return `${JSON.stringify(document, null, 2)}\n`;
}

export function addExport(program: Command): void {
  const command = program
    .command('export')
    .description('services for the tools of others: portico export proto ./orders.ts > orders.proto')
    .argument(`<${Object.keys(FORMS).join('|')}>`, 'the form')
    .argument('[paths...]', 'modules of services (default: those of the configuration)')
    .option('--out <folder>', 'writes files there; else one goes to standard output')
    .option('--topics', "with the server's own portico.v1.Topics")
    .option('--files', "with the server's own portico.v1.Files")
    .addOption(new Option('--url <url>', 'where the server is').default('http://localhost:8080'));
  addPlaceFlags(command).action((form: string, paths: string[], flags: ExportFlags) =>
    told(() => exported(form, paths, flags)),
  );
}

async function exported(form: string, paths: readonly string[], flags: ExportFlags): Promise<number> {
  const make = FORMS[form];
  if (make === undefined)
    return fail(`there is no form ${form}; there are ${Object.keys(FORMS).join(', ')}`, EXIT.usage);
  if (!URL.canParse(flags.url)) return fail(`${flags.url} is not a URL`, EXIT.usage);
  const services: Service[] = [];
  const names = [
    ...(flags.topics === true ? ['portico.v1.Topics'] : []),
    ...(flags.files === true ? ['portico.v1.Files'] : []),
  ];
  if (names.length === 0 || paths.length > 0)
    for (const { described } of await loadAll(paths, flags)) services.push(...described.map(({ service }) => service));
  // Only described: nothing of them is called.
  if (names.length > 0)
    for (const { service } of ownServices({} as never)) if (names.includes(service.name)) services.push(service);
  const files = Object.entries(await make(services, new URL(flags.url)));
  if (flags.out === undefined) {
    const own = files.filter(([name]) => !name.startsWith('google/'));
    if (own.length > 1)
      return fail(`these are ${own.map(([name]) => name).join(', ')}: give a folder with --out`, EXIT.usage);
    process.stdout.write(own[0]?.[1] ?? '');
    return EXIT.ok;
  }
  for (const [name, text] of files) {
    const path = join(flags.out, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
    process.stdout.write(`${path}\n`);
  }
  return EXIT.ok;
}
