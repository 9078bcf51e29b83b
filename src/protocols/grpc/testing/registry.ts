// Our descriptors as @bufbuild/protobuf reads them, so that its clients need no generated code. For tests.
import { createFileRegistry, type DescService, type FileRegistry, fromBinary } from '@bufbuild/protobuf';
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import { descriptorSetBytes } from '../../../formats/schema/descriptor.ts';
import { ANNOTATIONS, googleFile, protoFiles } from '../../../formats/schema/proto-files.ts';
import { RPC } from '../../../formats/schema/protobuf-google.ts';
import type { Service } from '../../../resources/services/contract.ts';

const GOOGLE = ['timestamp', 'duration', 'struct', 'empty', 'any', 'wrappers', 'field_mask'];

/** A FileDescriptorSet of all that these services need. */
export function registryBytes(services: readonly Service[]): Buffer {
  const details = { name: 'google.rpc.Details', description: '', schema: RPC, methods: new Map() };
  const files = [
    ...GOOGLE.map((name) => googleFile(`google/protobuf/${name}.proto`)!),
    ...protoFiles([details]).map((file) => ({ ...file, services: [] })),
    ...protoFiles(services),
  ].map((file) => ({ ...file, imports: file.imports.filter((name) => name !== ANNOTATIONS) }));
  return descriptorSetBytes(files);
}

export function registryOf(services: readonly Service[]): FileRegistry {
  return createFileRegistry(fromBinary(FileDescriptorSetSchema, registryBytes(services)));
}

export function descriptionOf(service: Service): DescService {
  return registryOf([service]).getService(service.name)!;
}
