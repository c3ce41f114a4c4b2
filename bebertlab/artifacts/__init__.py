"""What stages leave in the store: folders of files, each written and read by one module.

| file | written by | content |
|---|---|---|
| `metrics.json` | `write_metrics` | flat mapping of names to numbers; every artifact has it |
| `config.json`, `model.safetensors`, `bebertlab.json`, tokenizer | `evaluate_and_save` | the model |
| `logits.safetensors` | `evaluate_and_save` | the logits of the model on every evaluated split |
| `scores.safetensors` | `write_scores` | what an ensemble predicts on the same splits |
| `member.json`, `next_sample_weights.safetensors` | `write_member` | the result of an ensemble's member |

A model runs once, in `evaluate_and_save` of the stage that made it. Stages that merge or evaluate read what is stored
(`read_logits`, `read_scores`) and run no model.
"""
