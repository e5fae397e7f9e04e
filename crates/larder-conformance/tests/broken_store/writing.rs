//! What is broken about `set`, `add`, `replace` and `increment`.

use larder_core::{CacheStore as _, Error, ErrorKind, Expiry, Key, Result, Value, Version};
use tokio::task::yield_now;

use super::{Broken, Fault};
use crate::reference_store::Reference;

impl Broken {
    pub(super) async fn broken_set(&self, key: &Key, value: Value, expiry: Expiry) -> Result<()> {
        self.writes(key);
        match self.fault {
            Fault::SetKeepsTheOldExpiry => {
                let expiry = self.store.expiry(key).await?.unwrap_or(expiry);
                self.store.set(key, value, expiry).await
            }
            Fault::PastExpiryIsAnError if expiry.is_past() => {
                Err(Error::new(ErrorKind::Config, "invalid expire time in `set`"))
            }
            Fault::PastExpiryDoesNothing if expiry.is_past() => Ok(()),
            Fault::TooLargeIsDropped if value.to_wire()?.len() > Reference::MAX_VALUE => Ok(()),
            Fault::TooLargeIsCut => match value {
                Value::Bytes(bytes) if bytes.len() >= Reference::MAX_VALUE => {
                    self.store.set(key, Value::Bytes(bytes.slice(..Reference::MAX_VALUE - 1)), expiry).await
                }
                value => self.store.set(key, value, expiry).await,
            },
            Fault::FullStoreRefusesSilently
                if self.store.len().await? >= 500 && !self.store.has(key).await? =>
            {
                Ok(())
            }
            Fault::SetInTwoSteps => {
                let _connection = self.connection.write().await;
                self.set_in_two_steps(key, value, expiry).await
            }
            Fault::SetTears => self.set_in_two_steps(key, value, expiry).await,
            _ => self.store.set(key, value, expiry).await,
        }
    }

    async fn set_in_two_steps(&self, key: &Key, value: Value, expiry: Expiry) -> Result<()> {
        match &value {
            Value::Bytes(bytes) if bytes.len() < Reference::MAX_VALUE => {
                self.store.set(key, Value::Bytes(bytes.slice(..bytes.len() / 2)), expiry).await?;
                yield_now().await;
            }
            _ => {}
        }
        self.store.set(key, value, expiry).await
    }

    pub(super) async fn broken_add(
        &self,
        key: &Key,
        value: Value,
        expiry: Expiry,
    ) -> Result<Option<Version>> {
        self.writes(key);
        let set = async || {
            self.store.delete(key).await?;
            self.store.add(key, value.clone(), expiry).await
        };
        let added = match self.fault {
            Fault::EmulatesWhatItDoesNotDeclare => return set().await,
            Fault::AddOverwrites => set().await,
            Fault::AddLosesToTheExpired if self.raw(key).is_some() => Ok(None),
            Fault::AddLosesItsExpiry => self.store.add(key, value.clone(), Expiry::Never).await,
            Fault::AddInTwoSteps => {
                let added = self.store.add(key, value.clone(), Expiry::Never).await?;
                if added.is_some() {
                    yield_now().await;
                    self.store.touch(key, expiry).await?;
                }
                Ok(added)
            }
            Fault::AddRaces => {
                if self.store.has(key).await? {
                    return Ok(None);
                }
                yield_now().await;
                set().await
            }
            Fault::LosingAddTouches => {
                let added = self.store.add(key, value.clone(), expiry).await?;
                if added.is_none() {
                    self.store.touch(key, expiry).await?;
                }
                Ok(added)
            }
            _ => self.store.add(key, value.clone(), expiry).await,
        };
        Ok(added?.map(|version| self.told(key, &value, version)))
    }

    pub(super) async fn broken_replace(
        &self,
        key: &Key,
        told: &Version,
        value: Value,
        expiry: Expiry,
    ) -> Result<Option<Version>> {
        let Some((_, current)) = self.store.get_versioned(key).await? else { return Ok(None) };
        let meant = self.meant(key, told).await?;
        let replaced = match self.fault {
            Fault::EmulatesWhatItDoesNotDeclare => return Err(Error::unsupported("replace")),
            Fault::ReplaceIgnoresTheVersion => {
                yield_now().await;
                let _connection = self.connection.write().await;
                match self.store.get_versioned(key).await? {
                    Some((_, current)) => self.store.replace(key, &current, value.clone(), expiry).await,
                    None => Ok(None),
                }
            }
            Fault::ReplaceKeepsTheOldExpiry => {
                let expiry = self.store.expiry(key).await?.unwrap_or(expiry);
                self.store.replace(key, &meant, value.clone(), expiry).await
            }
            Fault::ReplaceRaces => {
                if meant != current {
                    return Ok(None);
                }
                yield_now().await;
                self.store.delete(key).await?;
                self.store.add(key, value.clone(), expiry).await
            }
            _ => self.store.replace(key, &meant, value.clone(), expiry).await,
        };
        Ok(replaced?.map(|version| self.told(key, &value, version)))
    }

    pub(super) async fn broken_increment(&self, key: &Key, delta: i64, expiry: Expiry) -> Result<i64> {
        self.writes(key);
        // One fault at a time: only the one about races has a gap between reading and writing.
        let _connection = match self.fault {
            Fault::IncrementRaces => None,
            _ => Some(self.connection.write().await),
        };
        let old = self.store.get(key).await?;
        match (self.fault, old) {
            (Fault::EmulatesWhatItDoesNotDeclare, _) => Ok(delta),
            (Fault::IncrementRaces, Some(Value::Int(old))) => {
                let sum =
                    old.checked_add(delta).ok_or_else(|| Error::new(ErrorKind::Overflow, "out of range"))?;
                let expiry = self.store.expiry(key).await?.unwrap_or(expiry);
                yield_now().await;
                self.store.set(key, Value::Int(sum), expiry).await?;
                Ok(sum)
            }
            (Fault::IncrementResetsTheExpiry, Some(_)) => {
                let sum = self.store.increment(key, delta, expiry).await?;
                self.store.touch(key, expiry).await?;
                Ok(sum)
            }
            (Fault::IncrementWraps, Some(Value::Int(old))) => {
                let expiry = self.store.expiry(key).await?.unwrap_or(expiry);
                self.store.set(key, Value::Int(old.wrapping_add(delta)), expiry).await?;
                Ok(old.wrapping_add(delta))
            }
            (Fault::IncrementTakesBytesForZero, Some(Value::Bytes(_) | Value::Object(_))) => {
                self.store.set(key, Value::Int(delta), expiry).await?;
                Ok(delta)
            }
            (Fault::IncrementReadsText, Some(Value::Bytes(bytes))) => {
                let number = std::str::from_utf8(&bytes).ok().and_then(|text| text.parse::<i64>().ok());
                let number = number.ok_or_else(|| Error::new(ErrorKind::WrongType, "not a number"))?;
                self.store.set(key, Value::Int(number + delta), expiry).await?;
                Ok(number + delta)
            }
            (Fault::IncrementNeverExpires, None) => self.store.increment(key, delta, Expiry::Never).await,
            (Fault::WrongTypeIsRetryable, _) => {
                let sum = self.store.increment(key, delta, expiry).await;
                sum.map_err(|error| {
                    let retryable = error.kind() == ErrorKind::WrongType;
                    error.with_retryable(retryable)
                })
            }
            _ => self.store.increment(key, delta, expiry).await,
        }
    }
}
