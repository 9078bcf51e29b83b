// The description of a service in WSDL 1.1, with its types: document/literal wrapped, over SOAP 1.1 and 1.2 with HTTP.
import { XSD_NAMESPACE, xsdSchema } from '../../formats/schema/xsd.ts';
import { escapeAttribute, escapeText } from '../../formats/xml/chars.ts';
import type { CodeName } from '../../resources/services/status.ts';
import { CODE_SIDES } from './codes.ts';
import { DECLARATION } from './encode.ts';
import { ADDRESSING, ERROR_NAMESPACE, packageOf, WSDL, WSDL_SOAP_11, WSDL_SOAP_12 } from './names.ts';
import type { Operation, SoapService } from './services.ts';

const WSDL_ADDRESSING = 'http://www.w3.org/2007/05/addressing/metadata';
const HTTP_TRANSPORT = 'http://schemas.xmlsoap.org/soap/http';

/** The schema of a service's elements, as a document of its own. */
export function schemaDocument(soap: SoapService): string {
  return `${DECLARATION}${schemaOf(soap)}\n`;
}

/** The schema of what faults have as their detail, as a document of its own. */
export function errorSchemaDocument(): string {
  return `${DECLARATION}${ERROR_SCHEMA}\n`;
}

/** @param location where the service is called: an absolute URL */
export function wsdlDocument(soap: SoapService, location: string): string {
  const { service, namespace } = soap;
  const operations = [...soap.operations.values()];
  const short = service.name.slice(packageOf(service.name).length).replace(/^\./, '');
  const parts = [
    `${DECLARATION}<wsdl:definitions name="${service.name}" targetNamespace="${escapeAttribute(namespace)}" xmlns:wsdl="${WSDL}"`,
    ` xmlns:tns="${escapeAttribute(namespace)}" xmlns:err="${ERROR_NAMESPACE}" xmlns:soap="${WSDL_SOAP_11}"`,
    ` xmlns:soap12="${WSDL_SOAP_12}" xmlns:wsam="${WSDL_ADDRESSING}">\n`,
    documented(service.description),
    `<wsdl:types>\n${schemaOf(soap)}\n${ERROR_SCHEMA}\n</wsdl:types>\n`,
    ...operations.map(({ method: { name } }) => messages(name)),
    '<wsdl:message name="Error"><wsdl:part name="fault" element="err:Error"/></wsdl:message>\n',
    `<wsdl:portType name="${short}">\n${operations.map(operationOf).join('')}</wsdl:portType>\n`,
    bindingOf(`${short}Soap11`, 'soap', short, operations),
    bindingOf(`${short}Soap12`, 'soap12', short, operations),
    `<wsdl:service name="${short}">\n`,
    portOf(`${short}Soap11`, 'soap', location),
    portOf(`${short}Soap12`, 'soap12', location),
    '</wsdl:service>\n</wsdl:definitions>\n',
  ];
  return parts.join('');
}

function schemaOf({ service, namespace, operations }: SoapService): string {
  const elements = [...operations.values()].flatMap(({ method }) => [
    { name: method.name, type: method.input },
    { name: `${method.name}Response`, type: method.output },
  ]);
  return xsdSchema({ schema: service.schema, namespace, package: packageOf(service.name), elements });
}

function documented(description: string): string {
  return description === '' ? '' : `<wsdl:documentation>${escapeText(description)}</wsdl:documentation>\n`;
}

function messages(name: string): string {
  return (
    `<wsdl:message name="${name}"><wsdl:part name="parameters" element="tns:${name}"/></wsdl:message>\n` +
    `<wsdl:message name="${name}Response"><wsdl:part name="parameters" element="tns:${name}Response"/></wsdl:message>\n`
  );
}

function operationOf({ method: { name, description }, action, answerAction }: Operation): string {
  return (
    `<wsdl:operation name="${name}">${documented(description)}` +
    `<wsdl:input message="tns:${name}" wsam:Action="${action}"/>` +
    `<wsdl:output message="tns:${name}Response" wsam:Action="${answerAction}"/>` +
    `<wsdl:fault name="Error" message="tns:Error" wsam:Action="${ADDRESSING}/soap/fault"/></wsdl:operation>\n`
  );
}

function bindingOf(name: string, prefix: string, portType: string, operations: readonly Operation[]): string {
  const each = operations.map(
    ({ method, action }) =>
      `<wsdl:operation name="${method.name}"><${prefix}:operation soapAction="${action}" style="document"/>` +
      `<wsdl:input><${prefix}:body use="literal"/></wsdl:input><wsdl:output><${prefix}:body use="literal"/></wsdl:output>` +
      `<wsdl:fault name="Error"><${prefix}:fault name="Error" use="literal"/></wsdl:fault></wsdl:operation>\n`,
  );
  return (
    `<wsdl:binding name="${name}" type="tns:${portType}"><${prefix}:binding style="document" transport="${HTTP_TRANSPORT}"/>\n` +
    `${each.join('')}</wsdl:binding>\n`
  );
}

function portOf(name: string, prefix: string, location: string): string {
  return `<wsdl:port name="${name}" binding="tns:${name}"><${prefix}:address location="${escapeAttribute(location)}"/></wsdl:port>\n`;
}

const CODES = (Object.keys(CODE_SIDES) as CodeName[]).filter((name) => name !== 'OK');

const ERROR_SCHEMA =
  `<xsd:schema xmlns:xsd="${XSD_NAMESPACE}" xmlns:err="${ERROR_NAMESPACE}" targetNamespace="${ERROR_NAMESPACE}" ` +
  'elementFormDefault="qualified">\n' +
  '<xsd:element name="Error"><xsd:complexType><xsd:sequence>' +
  '<xsd:element name="code" type="err:Code"/><xsd:element name="message" type="xsd:string"/>' +
  '<xsd:element name="violation" type="err:Violation" minOccurs="0" maxOccurs="unbounded"/>' +
  '<xsd:element name="detail" type="err:Detail" minOccurs="0" maxOccurs="unbounded"/>' +
  '</xsd:sequence></xsd:complexType></xsd:element>\n' +
  `<xsd:simpleType name="Code"><xsd:restriction base="xsd:string">${CODES.map((name) => `<xsd:enumeration value="${name}"/>`).join('')}</xsd:restriction></xsd:simpleType>\n` +
  '<xsd:complexType name="Violation"><xsd:sequence><xsd:element name="path" type="xsd:string"/>' +
  '<xsd:element name="text" type="xsd:string"/></xsd:sequence></xsd:complexType>\n' +
  '<xsd:complexType name="Detail" mixed="true"><xsd:sequence><xsd:any processContents="lax" minOccurs="0"/></xsd:sequence>' +
  '<xsd:attribute name="type" type="xsd:string" use="required"/></xsd:complexType>\n</xsd:schema>';
