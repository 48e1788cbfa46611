// Shopify's `@shopify/admin-api-client`: read, change a price, and retry what may be retried. Node's own `fetch` is
// told of the proxy by its dispatcher; the client itself is as it comes.
import {createAdminApiClient} from '@shopify/admin-api-client';
import {EnvHttpProxyAgent, setGlobalDispatcher} from 'undici';

setGlobalDispatcher(new EnvHttpProxyAgent());

const job = JSON.parse(process.argv[2]);
const logs = [];
const client = (accessToken, retries) =>
  createAdminApiClient({
    storeDomain: job.domain,
    apiVersion: '2026-10',
    accessToken,
    retries,
    logger: (entry) => logs.push(entry.type),
  });

const read = `query($first: Int!) { shop { name } products(first: $first) { nodes {
  id variants(first: 10) { nodes { id price } } } } }`;
const write = `mutation($productId: ID!, $variants: [ProductVariantsBulkInput!]!) {
  productVariantsBulkUpdate(productId: $productId, variants: $variants) {
    productVariants { id price } userErrors { field message code } } }`;

const patient = client(job.token, 3);
const found = await patient.request(read, {variables: {first: 2}});
const retried = logs.filter((type) => type === 'HTTP-Retry').length;
const product = found.data.products.nodes[0];
const variants = [{id: product.variants.nodes[0].id, price: job.price}];
const written = await patient.request(write, {variables: {productId: product.id, variables: undefined, variants}});
const refused = await patient.request(write, {
  variables: {productId: product.id, variants: [{id: variants[0].id, price: '-1'}]},
});
const unknown = await client('shpat_wrong', 0).request('{ shop { name } }');
await patient.request('{ currentBulkOperation { id } }');
const wrong = await patient.request('{ shop { nothing } }');

console.log(
  JSON.stringify({
    shop: found.data.shop.name,
    retried,
    sent: variants[0].id,
    written: written.data.productVariantsBulkUpdate,
    cost: written.extensions.cost,
    refused: refused.data.productVariantsBulkUpdate.userErrors,
    unknown: unknown.errors.networkStatusCode,
    deprecated: logs.filter((type) => type === 'HTTP-Response-GraphQL-Deprecation-Notice').length,
    wrong: wrong.errors.graphQLErrors.map((error) => error.message),
  }),
);
