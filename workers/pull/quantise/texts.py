"""Texts on which a quantised embedder or reranker is compared with the full one."""

QUERIES = (
    "How do bees find their way back to the hive?",
    "What does a central bank do when prices rise too fast?",
    "Wie lange muss ein Hefeteig gehen?",
    "¿Por qué el cielo es azul durante el día?",
    "how to reverse a linked list in Python",
    "怎样降低血压？",
)

DOCUMENTS = (
    "Honey bees remember landmarks and use the position of the sun as a compass when they fly home.",
    "Bees communicate the direction of flowers by a dance in which the angle stands for the angle to the sun.",
    "A hive holds up to sixty thousand workers in summer and a few thousand in winter.",
    "Honey keeps for years because it holds too little water for bacteria.",
    "When inflation is above its target, the bank raises its interest rate: loans become dearer and demand falls.",
    "Stable prices are the main task of most central banks; some also look after employment.",
    "Coins were first struck in Lydia in the seventh century before our era.",
    "A cheque is an order to a bank to pay a sum to whoever presents it.",
    "Ein Hefeteig geht bei Zimmertemperatur etwa eine Stunde, bis er sich verdoppelt hat; im Kühlschrank über Nacht.",
    "Für Mürbeteig wird kalte Butter rasch mit Mehl verknetet; Hefe kommt nicht hinein.",
    "Frische Hefe erkennt man am milden Geruch und daran, dass sie muschelig bricht.",
    "Der Zug nach Hamburg fährt heute von Gleis sieben ab und hält nicht in Lüneburg.",
    "La atmósfera dispersa la luz azul mucho más que la roja, por eso vemos el cielo azul cuando el sol está alto.",
    "Al atardecer la luz recorre más aire y pierde el azul, de modo que el horizonte se ve rojo.",
    "El mar refleja el color del cielo, y el plancton le da a veces un tono verde.",
    "La paella se prepara con arroz, azafrán y lo que haya en el mercado.",
    "prev = None\nwhile node:\n    node.next, prev, node = prev, node, node.next\nreturn prev",
    "def binary_search(values, wanted):\n    low, high = 0, len(values)\n    while low < high:\n        ...",
    "A linked list keeps each element in a node that points to the next one; inserting at its head is cheap.",
    "Lists in Python are arrays: taking an element by its index does not depend on their length.",
    "少吃盐、经常运动、控制体重和戒烟都有助于降低血压，必要时应遵医嘱服药。",
    "正常成年人的血压通常低于一百二十比八十毫米汞柱。",
    "心脏每天跳动大约十万次，把血液送到全身。",
    "茶树喜欢温暖湿润的气候，春天采摘的嫩叶最好。",
)
