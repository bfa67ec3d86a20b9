"""The words of each command, by language. English words count in every language.

The words that stop, start and explain messages are in sms/keywords.py. A word is compared after folding (NFKC, case),
so that it is listed in one form; spellings that people use with and without accents are both listed.
"""

from __future__ import annotations

import enum


class Verb(enum.StrEnum):
    """What a message does; the values are the words of `effect` in the log."""

    POST = "post"
    REPLY = "reply"
    DM = "dm"
    RT = "rt"
    LIKE = "like"
    FOLLOW = "follow"
    UNFOLLOW = "unfollow"
    ON = "on"
    OFF = "off"
    LEAVE = "leave"
    GET = "get"
    WHOIS = "whois"
    MORE = "more"
    DEL = "del"
    QUIET = "quiet"
    DIGEST = "digest"
    STATUS = "status"
    STATS = "stats"
    SET = "set"
    BLOCK = "block"
    MUTE = "mute"
    REPORT = "report"
    LOCK = "lock"
    STOP = "stop"
    START = "start"
    HELP = "help"
    GO = "go"
    SIGNUP = "signup"
    CONFIRM = "confirm"
    NONE = "none"


WORDS: dict[str, dict[Verb, tuple[str, ...]]] = {
    "en": {
        Verb.POST: ("post",),
        Verb.REPLY: ("r", "reply"),
        Verb.DM: ("d", "dm", "m"),
        Verb.RT: ("rt", "boost"),
        Verb.LIKE: ("like", "fav"),
        Verb.FOLLOW: ("follow", "f"),
        Verb.UNFOLLOW: ("unfollow",),
        Verb.ON: ("on",),
        Verb.OFF: ("off",),
        Verb.LEAVE: ("leave", "l"),
        Verb.GET: ("get", "g"),
        Verb.WHOIS: ("whois", "w"),
        Verb.MORE: ("more",),
        Verb.DEL: ("del", "delete"),
        Verb.QUIET: ("quiet",),
        Verb.DIGEST: ("digest",),
        Verb.STATUS: ("status",),
        Verb.STATS: ("stats",),
        Verb.SET: ("set",),
        Verb.BLOCK: ("block",),
        Verb.MUTE: ("mute",),
        Verb.REPORT: ("report",),
        Verb.LOCK: ("lock",),
        Verb.GO: ("go",),
        Verb.SIGNUP: ("signup",),
    },
    "es": {
        Verb.POST: ("publicar",),
        Verb.REPLY: ("responder",),
        Verb.DM: ("md",),
        Verb.RT: ("compartir",),
        Verb.LIKE: ("me gusta",),
        Verb.FOLLOW: ("seguir",),
        Verb.UNFOLLOW: ("dejar de seguir", "no seguir"),
        Verb.ON: ("activar",),
        Verb.OFF: ("desactivar",),
        Verb.LEAVE: ("salir",),
        Verb.GET: ("ver",),
        Verb.WHOIS: ("quién", "quien"),
        Verb.MORE: ("más", "mas"),
        Verb.DEL: ("borrar",),
        Verb.QUIET: ("silencio",),
        Verb.DIGEST: ("resumen",),
        Verb.STATUS: ("estado",),
        Verb.STATS: ("estadísticas", "estadisticas"),
        Verb.SET: ("poner",),
        Verb.BLOCK: ("bloquear",),
        Verb.MUTE: ("silenciar",),
        Verb.REPORT: ("denunciar",),
        Verb.LOCK: ("cerrar",),
        Verb.GO: ("código", "codigo"),
        Verb.SIGNUP: ("registro",),
    },
    "fr": {
        Verb.POST: ("publier",),
        Verb.REPLY: ("répondre", "repondre"),
        Verb.DM: ("mp",),
        Verb.RT: ("partager",),
        Verb.LIKE: ("aimer",),
        Verb.FOLLOW: ("suivre",),
        Verb.UNFOLLOW: ("ne plus suivre",),
        Verb.ON: ("activer",),
        Verb.OFF: ("désactiver", "desactiver"),
        Verb.LEAVE: ("quitter",),
        Verb.GET: ("voir",),
        Verb.WHOIS: ("qui",),
        Verb.MORE: ("suite", "plus"),
        Verb.DEL: ("effacer",),
        Verb.QUIET: ("silence",),
        Verb.DIGEST: ("résumé", "resume"),
        Verb.STATUS: ("état", "etat"),
        Verb.STATS: ("statistiques",),
        Verb.SET: ("régler", "regler"),
        Verb.BLOCK: ("bloquer",),
        Verb.MUTE: ("masquer",),
        Verb.REPORT: ("signaler",),
        Verb.LOCK: ("verrou",),
        Verb.GO: ("code",),
        Verb.SIGNUP: ("inscription",),
    },
    "ru": {
        Verb.POST: ("пост",),
        Verb.REPLY: ("ответ",),
        Verb.DM: ("лс",),
        Verb.RT: ("репост",),
        Verb.LIKE: ("лайк",),
        Verb.FOLLOW: ("читать", "подписаться"),
        Verb.UNFOLLOW: ("не читать", "отписаться"),
        Verb.ON: ("вкл",),
        Verb.OFF: ("выкл",),
        Verb.LEAVE: ("уйти",),
        Verb.GET: ("показать",),
        Verb.WHOIS: ("кто",),
        Verb.MORE: ("ещё", "еще", "дальше"),
        Verb.DEL: ("удалить",),
        Verb.QUIET: ("тишина",),
        Verb.DIGEST: ("сводка",),
        Verb.STATUS: ("статус",),
        Verb.STATS: ("статистика",),
        Verb.SET: ("задать",),
        Verb.BLOCK: ("блок", "заблокировать"),
        Verb.MUTE: ("скрыть",),
        Verb.REPORT: ("жалоба",),
        Verb.LOCK: ("замок",),
        Verb.GO: ("код",),
        Verb.SIGNUP: ("регистрация",),
    },
    "ka": {
        Verb.POST: ("პოსტი",),
        Verb.REPLY: ("პასუხი",),
        Verb.DM: ("პირადი",),
        Verb.RT: ("გაზიარება",),
        Verb.LIKE: ("მოწონება",),
        Verb.FOLLOW: ("გამოწერა",),
        Verb.UNFOLLOW: ("გამოწერის გაუქმება",),
        Verb.ON: ("ჩართვა",),
        Verb.OFF: ("გამორთვა",),
        Verb.LEAVE: ("გასვლა",),
        Verb.GET: ("ნახვა",),
        Verb.WHOIS: ("ვინ",),
        Verb.MORE: ("მეტი",),
        Verb.DEL: ("წაშლა",),
        Verb.QUIET: ("სიჩუმე",),
        Verb.DIGEST: ("შეჯამება",),
        Verb.STATUS: ("სტატუსი",),
        Verb.STATS: ("სტატისტიკა",),
        Verb.SET: ("დაყენება",),
        Verb.BLOCK: ("დაბლოკვა",),
        Verb.MUTE: ("დადუმება",),
        Verb.REPORT: ("საჩივარი",),
        Verb.LOCK: ("ჩაკეტვა",),
        Verb.GO: ("კოდი",),
        Verb.SIGNUP: ("რეგისტრაცია",),
    },
    "uk": {
        Verb.POST: ("допис",),
        Verb.REPLY: ("відповідь",),
        Verb.DM: ("пп",),
        Verb.RT: ("поширити",),
        Verb.LIKE: ("лайк", "вподобати"),
        Verb.FOLLOW: ("стежити", "підписатися"),
        Verb.UNFOLLOW: ("не стежити", "відписатися"),
        Verb.ON: ("увімк",),
        Verb.OFF: ("вимк",),
        Verb.LEAVE: ("вийти",),
        Verb.GET: ("показати",),
        Verb.WHOIS: ("хто",),
        Verb.MORE: ("ще", "далі"),
        Verb.DEL: ("видалити",),
        Verb.QUIET: ("тиша",),
        Verb.DIGEST: ("дайджест",),
        Verb.STATUS: ("стан",),
        Verb.STATS: ("статистика",),
        Verb.SET: ("задати",),
        Verb.BLOCK: ("блок", "заблокувати"),
        Verb.MUTE: ("приховати",),
        Verb.REPORT: ("скарга",),
        Verb.LOCK: ("замок",),
        Verb.GO: ("код",),
        Verb.SIGNUP: ("реєстрація",),
    },
    "ar": {
        Verb.POST: ("نشر",),
        Verb.REPLY: ("رد",),
        Verb.DM: ("خاص",),
        Verb.RT: ("مشاركة",),
        Verb.LIKE: ("إعجاب", "اعجاب"),
        Verb.FOLLOW: ("متابعة",),
        Verb.UNFOLLOW: ("إلغاء المتابعة", "الغاء المتابعة"),
        Verb.ON: ("تشغيل",),
        Verb.OFF: ("إيقاف", "ايقاف"),
        Verb.LEAVE: ("مغادرة",),
        Verb.GET: ("عرض",),
        Verb.WHOIS: ("ملف",),
        Verb.MORE: ("المزيد",),
        Verb.DEL: ("حذف",),
        Verb.QUIET: ("هدوء",),
        Verb.DIGEST: ("ملخص",),
        Verb.STATUS: ("الحالة",),
        Verb.STATS: ("إحصاءات", "احصاءات"),
        Verb.SET: ("ضبط",),
        Verb.BLOCK: ("حظر",),
        Verb.MUTE: ("كتم",),
        Verb.REPORT: ("إبلاغ", "ابلاغ"),
        Verb.LOCK: ("قفل",),
        Verb.GO: ("رمز",),
        Verb.SIGNUP: ("تسجيل",),
    },
}

YES: dict[str, tuple[str, ...]] = {
    "en": ("yes", "y"),
    "es": ("sí", "si"),
    "fr": ("oui",),
    "ru": ("да",),
    "ka": ("კი", "დიახ"),
    "uk": ("так",),
    "ar": ("نعم",),
}
NO: dict[str, tuple[str, ...]] = {
    "en": ("no", "n"),
    "es": ("no",),
    "fr": ("non",),
    "ru": ("нет",),
    "ka": ("არა",),
    "uk": ("ні",),
    "ar": ("لا",),
}

SETTINGS: dict[str, dict[str, tuple[str, ...]]] = {
    "en": {"name": ("name",), "bio": ("bio",), "language": ("language",), "quiet": ("quiet",)},
    "es": {"name": ("nombre",), "bio": ("bio",), "language": ("idioma",), "quiet": ("silencio",)},
    "fr": {"name": ("nom",), "bio": ("bio",), "language": ("langue",), "quiet": ("silence",)},
    "ru": {"name": ("имя",), "bio": ("био",), "language": ("язык",), "quiet": ("тишина",)},
    "ka": {"name": ("სახელი",), "bio": ("ბიო",), "language": ("ენა",), "quiet": ("სიჩუმე",)},
    "uk": {"name": ("ім'я", "імя"), "bio": ("біо",), "language": ("мова",), "quiet": ("тиша",)},
    "ar": {"name": ("اسم",), "bio": ("نبذة",), "language": ("لغة",), "quiet": ("هدوء",)},
}
"""The keys of SET: key → its words, by language."""

LANGUAGE_NAMES: dict[str, tuple[str, ...]] = {
    "en": ("english", "inglés", "anglais", "английский"),
    "es": ("español", "espanol", "spanish"),
    "fr": ("français", "francais", "french"),
    "ru": ("русский", "russian"),
    "ka": ("ქართული", "georgian", "kartuli"),
    "uk": ("українська", "ukrainian"),
    "ar": ("العربية", "عربي", "arabic"),
}
"""The names of languages that SET LANGUAGE takes besides their codes."""

ORDINARY_WORDS = frozenset(
    "bloc blocky boot boots deport fallow fellow hollow lick lie lieu lock mode moor moore quite repot resort retort "
    "statue whos".split()
)
"""English words one slip away from a command word; a post may begin with them."""
