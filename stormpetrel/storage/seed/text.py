"""Names and texts of a synthetic community, made of parts, in six languages.

Nothing here has to be clever: it has to have the lengths, scripts, hashtags and mentions of real posts.
"""

from __future__ import annotations

from random import Random

FIRST_NAMES = (
    "Ada Anton Aziz Bela Carla Dario Dilan Edda Elif Emre Fatou Femi Gio Greta Hana Henk Ida Ilan Ines Jana "
    "Jonas Kaja Karim Lale Lars Leila Lior Luca Maya Mehdi Mira Nadia Naja Nico Nino Noor Olga Omar Pavel "
    "Petra Quinn Rana Rosa Rune Samir Sanne Selma Soren Tamar Tariq Tessa Timo Uma Vera Viggo Wanda Xenia "
    "Yara Yusuf Zara Zeno"
).split()
LAST_NAMES = (
    "Abel Aydin Bakker Berg Blanc Costa Dahl Demir Eriksen Falk Ferrari Fuchs Garcia Haddad Holm Ito Jansen "
    "Kaya Keller Kvirikashvili Lang Lopes Lund Marin Meyer Moreau Nassar Nowak Okafor Olsen Park Peeters "
    "Petit Rahimi Reyes Rossi Sato Schmid Silva Sousa Tamm Torres Vogel Weber Winter Yilmaz Zimmer"
).split()

LANGUAGES = ("en", "de", "fr", "es", "ka", "ar")
LANGUAGE_WEIGHTS = (55, 15, 12, 10, 5, 3)

_OPENINGS: dict[str, tuple[str, ...]] = {
    "en": (
        "This morning",
        "Right before lunch",
        "On the way home",
        "After three attempts",
        "Somewhere between two trains",
        "Against all advice",
        "As every year",
        "For no reason at all",
        "With cold hands",
        "Late last night",
    ),
    "de": (
        "Heute früh",
        "Kurz vor Mittag",
        "Auf dem Heimweg",
        "Nach drei Anläufen",
        "Zwischen zwei Zügen",
        "Entgegen jedem Rat",
        "Wie jedes Jahr",
        "Ganz ohne Grund",
        "Gestern spät am Abend",
    ),
    "fr": (
        "Ce matin",
        "Juste avant midi",
        "Sur le chemin du retour",
        "Après trois essais",
        "Entre deux trains",
        "Contre tous les conseils",
        "Comme chaque année",
        "Sans aucune raison",
        "Hier soir très tard",
    ),
    "es": (
        "Esta mañana",
        "Justo antes de comer",
        "De camino a casa",
        "Después de tres intentos",
        "Entre dos trenes",
        "Contra todo consejo",
        "Como cada año",
        "Sin motivo alguno",
        "Anoche muy tarde",
    ),
    "ka": (
        "დღეს დილით",
        "სადილის წინ",
        "სახლისკენ მიმავალ გზაზე",
        "მესამე ცდაზე",
        "ორ მატარებელს შორის",
        "როგორც ყოველ წელს",
        "გუშინ გვიან ღამით",
    ),
    "ar": (
        "هذا الصباح",
        "قبل الغداء بقليل",
        "في الطريق إلى البيت",
        "بعد ثلاث محاولات",
        "بين قطارين",
        "كما في كل عام",
        "البارحة في وقت متأخر",
    ),
}
_MIDDLES: dict[str, tuple[str, ...]] = {
    "en": (
        "the neighbour's cat learned to open our door",
        "I repaired the radio and three screws were left over",
        "we counted forty swifts above the station",
        "the bread finally rose",
        "somebody painted the old bench bright yellow",
        "I found a letter in a library book",
        "the bus driver waited for everybody",
        "my balcony produced exactly one tomato",
        "the choir sang in the underpass",
        "a stranger lent me an umbrella and a song",
    ),
    "de": (
        "hat die Nachbarskatze gelernt, unsere Tür zu öffnen",
        "habe ich das Radio repariert, drei Schrauben blieben übrig",
        "zählten wir vierzig Mauersegler über dem Bahnhof",
        "ist das Brot endlich aufgegangen",
        "hat jemand die alte Bank leuchtend gelb gestrichen",
        "fand ich einen Brief in einem Bibliotheksbuch",
        "hat der Busfahrer auf alle gewartet",
    ),
    "fr": (
        "le chat du voisin a appris à ouvrir notre porte",
        "j'ai réparé la radio et il reste trois vis",
        "nous avons compté quarante martinets au-dessus de la gare",
        "le pain a enfin levé",
        "quelqu'un a repeint le vieux banc en jaune vif",
        "j'ai trouvé une lettre dans un livre de la bibliothèque",
        "le chauffeur du bus a attendu tout le monde",
    ),
    "es": (
        "el gato del vecino aprendió a abrir nuestra puerta",
        "arreglé la radio y sobraron tres tornillos",
        "contamos cuarenta vencejos sobre la estación",
        "por fin subió el pan",
        "alguien pintó el viejo banco de amarillo",
        "encontré una carta en un libro de la biblioteca",
        "el conductor del autobús esperó a todos",
    ),
    "ka": (
        "მეზობლის კატამ ჩვენი კარის გაღება ისწავლა",
        "რადიო შევაკეთე და სამი ხრახნი დამრჩა",
        "სადგურის თავზე ორმოცი ნამგალა დავთვალეთ",
        "პური როგორც იქნა ამოვიდა",
        "ვიღაცამ ძველი სკამი ყვითლად შეღება",
        "ბიბლიოთეკის წიგნში წერილი ვიპოვე",
    ),
    "ar": (
        "تعلمت قطة الجيران فتح بابنا",
        "أصلحت المذياع وبقيت ثلاثة براغ",
        "أحصينا أربعين سمامة فوق المحطة",
        "اختمر الخبز أخيرا",
        "دهن أحدهم المقعد القديم بالأصفر",
        "وجدت رسالة في كتاب من المكتبة",
    ),
}
_ENDINGS: dict[str, tuple[str, ...]] = {
    "en": (
        ".",
        "!",
        ". Nobody believes me.",
        ". I took notes.",
        ", and it was worth every minute.",
        ". More tomorrow, if the weather holds and nobody needs the ladder before I do.",
        ". Has anybody else seen this? I would like to compare what we know, slowly and over tea.",
    ),
    "de": (
        ".",
        "!",
        ". Niemand glaubt mir.",
        ". Ich habe mitgeschrieben.",
        ", und es war jede Minute wert.",
        ". Morgen mehr, wenn das Wetter hält und niemand vor mir die Leiter braucht.",
    ),
    "fr": (
        ".",
        " !",
        ". Personne ne me croit.",
        ". J'ai pris des notes.",
        ", et cela valait chaque minute.",
        ". La suite demain, si le temps le permet et si l'échelle est libre.",
    ),
    "es": (
        ".",
        ", ¡por fin!",
        ". Nadie me cree.",
        ". Tomé notas.",
        ", y valió cada minuto.",
        ". Mañana más, si el tiempo aguanta y nadie necesita la escalera.",
    ),
    "ka": (".", "!", ". არავინ მიჯერებს.", ". ჩავინიშნე.", ", და ღირდა."),
    "ar": (".", "!", ". لا أحد يصدقني.", ". دونت ذلك.", "، وكان الأمر يستحق."),
}
_ANSWERS: dict[str, tuple[str, ...]] = {
    "en": (
        "Same here:",
        "No!",
        "How do you do that?",
        "I was there too.",
        "Tell us more:",
        "Not quite:",
        "Thank you.",
    ),
    "de": (
        "Hier auch:",
        "Nein!",
        "Wie machst du das?",
        "Ich war auch dort.",
        "Erzähl:",
        "Nicht ganz:",
        "Danke.",
    ),
    "fr": (
        "Ici aussi :",
        "Non !",
        "Comment fais-tu ?",
        "J'y étais aussi.",
        "Raconte :",
        "Pas tout à fait :",
        "Merci.",
    ),
    "es": (
        "Aquí también:",
        "¡No!",
        "¿Cómo lo haces?",
        "Yo también estaba.",
        "Cuenta:",
        "No del todo:",
        "Gracias.",
    ),
    "ka": ("აქაც:", "არა!", "როგორ ახერხებ?", "მეც იქ ვიყავი.", "მოყევი:", "გმადლობ."),
    "ar": ("هنا أيضا:", "لا!", "كيف تفعل ذلك؟", "كنت هناك أيضا.", "احك لنا:", "شكرا."),
}
_TAG_WORDS = (
    "birds bread radio books trains garden weather music photo tea cycling history maps sea mountains chess "
    "cats dogs museum school election science theatre cooking astronomy knitting cinema harbour market "
    "football poetry repair Linux opensource bees mushrooms rain snow summer travel Lesen Wetter Brot lecture "
    "jardin lluvia"
).split()
TAGS = (*_TAG_WORDS, "დილა", "მთები", "صباح", "شعر")
"""Hashtags, most used first."""

SPOILERS = ("food", "long", "spiders", "match result", "politics, mild", "Wetter", "fin du film")


def _sentences(language: str) -> tuple[str, ...]:
    """Return all sentences of the language."""
    return tuple(
        f"{opening} {middle}{ending}"
        for opening in _OPENINGS[language]
        for middle in _MIDDLES[language]
        for ending in _ENDINGS[language]
    )


SENTENCES = {language: _sentences(language) for language in LANGUAGES}


def say(rng: Random, language: str) -> str:
    """Return one to three sentences."""
    sentences = SENTENCES[language]
    count = len(sentences)
    chance = rng.random()
    text = sentences[int(rng.random() * count)]
    if chance < 0.35:
        text += " " + sentences[int(rng.random() * count)]
        if chance < 0.1:
            text += "\n\n" + sentences[int(rng.random() * count)]
    return text


def answer(rng: Random, language: str) -> str:
    """Return a reply to a post."""
    answers = _ANSWERS[language]
    start = answers[int(rng.random() * len(answers))]
    if rng.random() < 0.3:
        return start.rstrip(" :")
    sentences = SENTENCES[language]
    return f"{start} {sentences[int(rng.random() * len(sentences))]}"
