//! Token merging (Bolya and Hoffman, 2023, arXiv 2303.17604), as tomesd 0.1.3 does it for A1111 v1.10.1:
//! self-attention over fewer tokens, the likeliest taken together.

use candle_core::{Result, Tensor};

/// Sides of the patches of which one token stays and others may join it.
const PATCH: usize = 2;

/// How tokens are merged in one call of the network.
#[derive(Clone, Copy, Debug)]
pub(super) struct Merging {
    /// Tokens of the whole picture: where there are fewer, none are merged.
    pub(super) tokens: usize,
    /// Share of the tokens that go, 0 to 1.
    pub(super) ratio: f64,
}

/// Which tokens of a batch become one.
pub(super) struct Merge {
    /// Tokens that others join.
    targets: Vec<usize>,
    rows: Vec<Row>,
}

/// For one picture, the other tokens: those that stay, and those that join which of the targets.
struct Row {
    kept: Vec<usize>,
    joined: Vec<(usize, usize)>,
}

impl Merging {
    /// What is merged of `x` (`[n, height · width, channels]`), where anything is.
    pub(super) fn of(self, x: &Tensor, height: usize, width: usize) -> Result<Option<Merge>> {
        let (n, tokens, _) = x.dims3()?;
        let gone = (tokens as f64 * self.ratio) as usize;
        if tokens < self.tokens || gone == 0 {
            return Ok(None);
        }
        // The first of every whole patch stays.
        let (tall, wide) = (height / PATCH * PATCH, width / PATCH * PATCH);
        let is_target = |at: usize| {
            let (y, x) = (at / width, at % width);
            y < tall && x < wide && y % PATCH == 0 && x % PATCH == 0
        };
        let (targets, others): (Vec<usize>, Vec<usize>) =
            (0..tokens).partition(|at| is_target(*at));
        if targets.is_empty() {
            return Ok(None);
        }
        let length = (x.sqr()?.sum_keepdim(2)?.sqrt()? + f64::from(f32::MIN_POSITIVE))?;
        let metric = x.broadcast_div(&length)?;
        let index = |list: &[usize]| {
            let list: Vec<u32> = list.iter().map(|at| *at as u32).collect();
            Tensor::new(list, x.device())
        };
        let (to, from) = (index(&targets)?, index(&others)?);
        let mut rows = Vec::with_capacity(n);
        for row in 0..n {
            let metric = metric.get(row)?;
            let likeness = metric
                .index_select(&from, 0)?
                .matmul(&metric.index_select(&to, 0)?.t()?)?
                .to_vec2::<f32>()?;
            rows.push(Row::of(&others, &likeness, gone));
        }
        Ok(Some(Merge { targets, rows }))
    }
}

impl Row {
    fn of(others: &[usize], likeness: &[Vec<f32>], gone: usize) -> Self {
        let best = |scores: &Vec<f32>| {
            let scores = scores.iter().copied().enumerate();
            scores.fold((0, f32::NEG_INFINITY), |best, it| if it.1 > best.1 { it } else { best })
        };
        let mut all: Vec<(usize, usize, f32)> = others
            .iter()
            .zip(likeness)
            .map(|(at, scores)| {
                let (target, score) = best(scores);
                (*at, target, score)
            })
            .collect();
        all.sort_by(|a, b| b.2.total_cmp(&a.2));
        let joined = &all[..gone.min(all.len())];
        Self {
            kept: all[joined.len()..].iter().map(|(at, ..)| *at).collect(),
            joined: joined.iter().map(|(at, target, _)| (*at, *target)).collect(),
        }
    }
}

impl Merge {
    /// The tokens that stay, and the targets as the mean of all that joined them.
    pub(super) fn merged(&self, x: &Tensor) -> Result<Tensor> {
        let (n, tokens, channels) = x.dims3()?;
        let values = x.flatten_all()?.to_vec1::<f32>()?;
        let mut out = Vec::new();
        let mut length = 0;
        for (row, values) in self.rows.iter().zip(values.chunks_exact(tokens * channels)) {
            let token = |at: usize| &values[at * channels..(at + 1) * channels];
            let mut means: Vec<f32> =
                self.targets.iter().flat_map(|at| token(*at).iter().copied()).collect();
            let mut counts = vec![1.0_f32; self.targets.len()];
            for (at, target) in &row.joined {
                counts[*target] += 1.0;
                let mean = &mut means[target * channels..(target + 1) * channels];
                for (mean, value) in mean.iter_mut().zip(token(*at)) {
                    *mean += value;
                }
            }
            for (mean, count) in means.chunks_exact_mut(channels).zip(&counts) {
                for value in mean {
                    *value /= count;
                }
            }
            out.extend(row.kept.iter().flat_map(|at| token(*at).iter().copied()));
            out.extend(means);
            length = row.kept.len() + self.targets.len();
        }
        Tensor::from_vec(out, (n, length, channels), x.device())
    }

    /// As many tokens as there were: those that joined a target are as it is.
    pub(super) fn parted(&self, x: &Tensor) -> Result<Tensor> {
        let (n, length, channels) = x.dims3()?;
        let values = x.flatten_all()?.to_vec1::<f32>()?;
        let gone = self.rows.first().map_or(0, |row| row.joined.len());
        let tokens = length + gone;
        let mut out = vec![0.0_f32; n * tokens * channels];
        let pictures = values.chunks_exact(length * channels);
        for ((row, values), out) in
            self.rows.iter().zip(pictures).zip(out.chunks_exact_mut(tokens * channels))
        {
            let mut put = |to: usize, from: usize| {
                out[to * channels..(to + 1) * channels]
                    .copy_from_slice(&values[from * channels..(from + 1) * channels]);
            };
            let kept = row.kept.len();
            for (from, at) in row.kept.iter().enumerate() {
                put(*at, from);
            }
            for (from, at) in self.targets.iter().enumerate() {
                put(*at, kept + from);
            }
            for (at, target) in &row.joined {
                put(*at, kept + target);
            }
        }
        Tensor::from_vec(out, (n, tokens, channels), x.device())
    }
}
