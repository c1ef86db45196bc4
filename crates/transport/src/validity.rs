//! Reads the end of a certificate's validity from its DER. Must never judge a certificate: it reads one
//! date, and returns none if it does not understand the bytes.

/// The end of a certificate's validity in seconds since 1970; `None` if the bytes are not an X.509
/// certificate with a known form of date.
///
/// Certificate, TBSCertificate, then version, serial number, signature, issuer, and validity with its
/// two dates (RFC 5280, 4.1).
pub(crate) fn not_after(certificate: &[u8]) -> Option<i64> {
    let (_, certificate) = Reader(certificate).expect(SEQUENCE)?;
    let (_, to_be_signed) = Reader(certificate).expect(SEQUENCE)?;
    let mut fields = Reader(to_be_signed);
    // Only a certificate of version 1 has no version field.
    if fields.0.first() == Some(&VERSION) {
        fields.next()?;
    }
    for _serial_signature_issuer in 0..3 {
        fields.next()?;
    }
    let (tag, validity) = fields.next()?;
    let mut dates = Reader((tag == SEQUENCE).then_some(validity)?);
    dates.next()?;
    let (tag, date) = dates.next()?;
    moment(tag, date)
}

const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// The unread rest of a piece of DER.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// The next value and its tag.
    fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let (&tag, rest) = self.0.split_first()?;
        let (&first, rest) = rest.split_first()?;
        let (length, rest) = match first {
            0..=0x7f => (usize::from(first), rest),
            0x81..=0x84 => {
                let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
                (bytes.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)), rest)
            }
            _ => return None,
        };
        let (value, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((tag, value))
    }

    fn expect(mut self, wanted: u8) -> Option<(u8, &'a [u8])> {
        self.next().filter(|(tag, _)| *tag == wanted)
    }
}

/// `YYMMDDHHMMSSZ` or `YYYYMMDDHHMMSSZ`, the only two forms that a certificate may have.
fn moment(tag: u8, date: &[u8]) -> Option<i64> {
    let digits = date.strip_suffix(b"Z").filter(|text| text.iter().all(u8::is_ascii_digit))?;
    let (years, rest) = match tag {
        UTC_TIME => digits.split_at_checked(2)?,
        GENERALIZED_TIME => digits.split_at_checked(4)?,
        _ => return None,
    };
    let number = |text: &[u8]| text.iter().fold(0, |sum, digit| 10 * sum + i64::from(digit - b'0'));
    let year = match (tag, number(years)) {
        (UTC_TIME, year @ 50..) => 1900 + year,
        (UTC_TIME, year) => 2000 + year,
        (_, year) => year,
    };
    let mut parts = rest.chunks(2).map(number);
    let mut part = || parts.next();
    let (month, day, hour, minute, second) = (part()?, part()?, part()?, part()?, part()?);
    let is_date = (1..=12).contains(&month) && (1..=31).contains(&day);
    let is_time = hour < 24 && minute < 60 && second < 61;
    (rest.len() == 10 && is_date && is_time)
        .then(|| days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second)
}

/// Days since 1970 of a date of the Gregorian calendar. Years are counted from March, so that the leap
/// day is the last day.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_of_both_forms_are_read_and_others_are_not() {
        for (tag, text, seconds) in [
            (UTC_TIME, "700101000000Z", Some(0)),
            (UTC_TIME, "491231235959Z", Some(2_524_607_999)),
            (UTC_TIME, "500101000000Z", Some(-631_152_000)),
            (GENERALIZED_TIME, "20240229120000Z", Some(1_709_208_000)),
            (GENERALIZED_TIME, "99991231235959Z", Some(253_402_300_799)),
            (GENERALIZED_TIME, "20240229120000", None),
            (GENERALIZED_TIME, "20241301000000Z", None),
            (GENERALIZED_TIME, "2024010100Z", None),
            (UTC_TIME, "7001010000+0Z", None),
            (0x04, "700101000000Z", None),
        ] {
            assert_eq!(moment(tag, text.as_bytes()), seconds, "{text}");
        }
    }

    #[test]
    fn only_a_complete_certificate_has_an_end_of_validity() {
        let mut wanted = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        wanted.not_after = rcgen::date_time_ymd(2031, 2, 3);
        let key = rcgen::KeyPair::generate().unwrap();
        let made = wanted.self_signed(&key).unwrap();
        let der = made.der().as_ref();
        assert_eq!(not_after(der), Some(1_927_843_200));
        for length in 0..der.len().min(200) {
            assert_eq!(not_after(&der[..length]), None, "{length} bytes");
        }
    }
}
