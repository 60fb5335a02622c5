// Vercel's AI SDK: `node client.mjs BASE_URL MODEL SCENARIO...` answers as programs/scenarios.py does.
import { createOpenAI } from '@ai-sdk/openai';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { generateObject, generateText, Output, stepCountIs, streamObject, streamText, tool } from 'ai';
import { z } from 'zod';

const [baseURL, name, ...scenarios] = process.argv.slice(2);
const compatible = createOpenAICompatible({ name: 'here', baseURL, includeUsage: true, supportsStructuredOutputs: true });
const openai = createOpenAI({ baseURL, apiKey: 'none' });
const models = {
  compatible: compatible(name),
  chat: openai.chat(name),
  responses: openai(name), // what OpenAI's provider takes by default
};
const prompt = 'What is the capital of France?';
const schema = z.object({ name: z.enum(['Paris', 'Rome']), millions: z.number().int().min(1).max(40) });
const trip = z.object({ days: z.record(z.enum(['Paris', 'Rome']), z.literal([1, 2])), request: z.uuidv4() });
const password = tool({ description: 'Tell the password.', inputSchema: z.object({}), execute: async () => 'swordfish' });
const onError = ({ error }) => { throw error; };

async function collect(stream) {
  const items = [];
  for await (const item of stream) items.push(item);
  return items;
}

const tasks = {
  async text(model) {
    const { text, usage, finishReason } = await generateText({ model, prompt, maxOutputTokens: 16 });
    return { text, tokens: usage.outputTokens, finishReason };
  },
  async streamed(model) {
    const { textStream, text, usage, finishReason } = streamText({ model, prompt, maxOutputTokens: 16, onError });
    const pieces = await collect(textStream);
    return { pieces, text: await text, tokens: (await usage).outputTokens, finishReason: await finishReason };
  },
  async object(model) {
    const { object } = await generateObject({ model, prompt, schema });
    return object;
  },
  async objectStreamed(model) {
    const { partialObjectStream, object } = streamObject({ model, prompt, schema, onError });
    return { pieces: await collect(partialObjectStream), object: await object };
  },
  async output(model) {
    const { output } = await generateText({ model, prompt, output: Output.object({ schema }) });
    return output;
  },
  async trip(model) {
    const { object } = await generateObject({ model, prompt, schema: trip, maxOutputTokens: 200 });
    return object;
  },
  // A call that must be made, then a reply in words.
  async toolSteps(model) {
    const prepareStep = ({ stepNumber }) => ({ toolChoice: stepNumber === 0 ? 'required' : 'none' });
    const { steps } = await generateText(
      { model, prompt: 'What is the password?', tools: { password }, stopWhen: stepCountIs(2), prepareStep, maxOutputTokens: 32 });
    return steps.map(({ finishReason, toolResults }) => ({ finishReason, outputs: toolResults.map(({ output }) => output) }));
  },
  async toolStreamed(model) {
    const { fullStream } = streamText({ model, prompt: 'What is the password?', tools: { password }, toolChoice: 'required', onError });
    return (await collect(fullStream)).map(({ type }) => type);
  },
  // A call that may be made.
  async tool(model) {
    const { text } = await generateText({ model, prompt: 'What is the password?', tools: { password }, stopWhen: stepCountIs(2) });
    return text;
  },
  async completion() {
    const { text, usage, finishReason } = await generateText(
      { model: compatible.completionModel(name), prompt: 'The capital of France is', maxOutputTokens: 4 });
    return { text, tokens: usage.outputTokens, finishReason };
  },
};

const answers = { failed: {} };
for (const scenario of scenarios) {
  const [model, task] = scenario.split('.');
  try {
    answers[scenario] = await tasks[task](models[model]);
  } catch (error) {
    answers.failed[scenario] = error.stack;
  }
}
console.log(JSON.stringify(answers));
